# Functions that the host defines in a guest's shell on a serial port (see serial_requests.py).
# POSIX sh. Lines that begin with # are not sent. tt_sum, tt_enc, tt_dec (SHA-256 in hex, base64)
# are defined before, from what the guest has; tt_n is unique, tt_dirs are folders to try.
[ -d "$tt_d" ] || for tt_f in $tt_dirs; do
tt_d=$tt_f/tt-$tt_n
mkdir -m 700 "$tt_d" 2>/dev/null && break
tt_d=
done
tt_new=
command -v setsid >/dev/null 2>&1 && tt_new=setsid
# tt SUM NUMBER NAME WORD...: do what a request says if it came undamaged, and answer it. Every
# request may come twice: the host repeats it when its answer is lost.
tt() {
tt_w=$1
shift
tt_g=$(printf %s "$*" | tt_sum)
if [ ${#tt_w} -ne 16 ] || [ "${tt_g#"$tt_w"}" = "$tt_g" ]; then
printf '<%s>\n' TT-damaged
return
fi
tt_i=$1
tt_o=tt_$2
shift 2
tt_a="$tt_i $("$tt_o" "$@" 2>/dev/null)"
tt_g=$(printf %s "$tt_a" | tt_sum)
printf '<TT-%s %.16s>\n' "$tt_a" "$tt_g"
}
# ping: say what keeps us from working here, if anything does
tt_ping() {
if [ -e /etc/initrd-release ]; then
printf initrd
elif [ -z "$tt_d" ]; then
printf readonly
else
printf ok
fi
}
# piece ID OFFSET BASE64
tt_piece() { mkdir -p "$tt_d/$1" && printf %s "$3" >"$tt_d/$1/p.$2" && printf ok; }
# join ID: make the file `data` of the pieces; answer its digest
tt_join() {
if [ ! -e "$tt_d/$1/data" ]; then
mkdir -p "$tt_d/$1"
cat "$tt_d/$1"/p.* | tt_dec >"$tt_d/$1/new"
mv "$tt_d/$1/new" "$tt_d/$1/data"
rm -f "$tt_d/$1"/p.*
fi
tt_g=$(tt_sum <"$tt_d/$1/data")
printf %.64s "$tt_g"
}
# start ID: run the file `data`, once
tt_start() {
if mkdir "$tt_d/$1/run"; then
$tt_new sh -c 'echo $$ >"$0/pid"
sh "$0/../data"
echo $? >"$0/status"' "$tt_d/$1/run" </dev/null >"$tt_d/$1/run/output" 2>&1 &
fi
printf ok
}
# status ID: exit status (- while it runs), bytes of output
tt_status() {
tt_s=$(cat "$tt_d/$1/run/status")
tt_z=$(wc -c <"$tt_d/$1/run/output")
printf '%s %d' "${tt_s:--}" "$((tt_z))"
}
# get ID START COUNT: part of the output in base64; the first byte is number 1
tt_get() { tail -c "+$2" "$tt_d/$1/run/output" | head -c "$3" | tt_enc | tr -d '\n'; }
tt_stop() { tt_p=$(cat "$tt_d/$1/run/pid") && kill -9 "-$tt_p" "$tt_p"; printf ok; }
tt_forget() { rm -rf "${tt_d:?}/$1"; printf ok; }
tt_where() { printf %s "$tt_d/$1/data"; }
