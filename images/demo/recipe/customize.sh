#!/bin/sh
# Runs inside the new system, after its packages and the folder base/ are there.
# $1: version, $2: SOURCE_DATE_EPOCH
set -e
version=$1 epoch=$2
groupadd --system screen
useradd --system --home-dir /run/demo-welcome --shell /usr/sbin/nologin --groups screen welcome
useradd --create-home --shell /bin/bash --groups screen,sudo --uid 1000 live
storage=/usr/lib/demo/storage
echo "welcome ALL=(root) NOPASSWD: /usr/bin/systemctl poweroff, $storage state, $storage unlock," \
  "$storage unlock --read-only" >>/etc/sudoers.d/demo
chmod 0440 /etc/sudoers.d/demo
passwd --lock root >/dev/null

printf 'en_US.UTF-8 UTF-8\nde_DE.UTF-8 UTF-8\nfr_FR.UTF-8 UTF-8\n' >/etc/locale.gen
locale-gen >/dev/null

cat >/etc/os-release <<EOF
PRETTY_NAME="tailstest demo $version"
NAME="tailstest demo"
ID=tailstest-demo
ID_LIKE=debian
VERSION_ID="$version"
EOF
dpkg-query -W -f '${Package} ${Version}\n' >/usr/share/demo-manifest
echo demo >/etc/hostname
printf '127.0.0.1 localhost demo\n' >/etc/hosts
: >/etc/fstab
rm -f /etc/machine-id /var/lib/dbus/machine-id /etc/resolv.conf
: >/etc/machine-id
printf 'nameserver 127.0.0.1\n' >/etc/resolv.conf # where tor answers

systemctl enable demo-welcome.service demo-settings.path demo-firewall.service \
  demo-medium-watch.service 2>/dev/null
# Whoever uses the system starts them, on the welcome screen and on the desktop.
systemctl disable tor.service systemd-networkd.service systemd-networkd.socket 2>/dev/null
systemctl set-default graphical.target 2>/dev/null
for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
  fstrim.timer man-db.timer e2scrub_reap.service systemd-networkd-wait-online.service \
  getty@tty1.service systemd-pstore.service systemd-binfmt.service keyboard-setup.service \
  console-setup.service systemd-timesyncd.service nftables.service \
  dev-hugepages.mount dev-mqueue.mount sys-kernel-debug.mount sys-kernel-tracing.mount \
  sys-kernel-config.mount sys-fs-fuse-connections.mount proc-sys-fs-binfmt_misc.automount \
  modprobe@configfs.service modprobe@drm.service modprobe@fuse.service \
  systemd-network-generator.service systemd-sysusers.service systemd-update-utmp.service \
  systemd-update-utmp-runlevel.service systemd-random-seed.service systemd-remount-fs.service \
  systemd-journal-flush.service systemd-tmpfiles-clean.timer systemd-initctl.socket \
  systemd-fsckd.socket systemd-journald-audit.socket systemd-ask-password-console.path \
  systemd-ask-password-wall.path systemd-pcrphase.service systemd-pcrphase-sysinit.service; do
  systemctl mask "$unit" 2>/dev/null || true
done
# Programs that look at each start for things that this system has not.
mkdir -p /etc/systemd/system-generators
for generator in cryptsetup gpt-auto hibernate-resume integritysetup rc-local system-update sysv \
  veritysetup; do
  ln -s /dev/null "/etc/systemd/system-generators/systemd-$generator-generator"
done

# What differs from build to build, or can be made again.
rm -rf /usr/share/i18n/locales /usr/share/i18n/charmaps
rm -rf /var/log/*.log /var/log/apt /var/cache/ldconfig/aux-cache /var/cache/debconf/*-old \
  /var/lib/dpkg/*-old /var/lib/systemd/random-seed /var/cache/fontconfig
# A list of fonts is used only if it is as old as its folder, whose time the image will clamp. Where
# there is none, each program of each user reads all fonts anew when it starts.
find /usr/share/fonts /usr/local/share/fonts -exec touch --no-dereference --date="@$epoch" {} +
env -u SOURCE_DATE_EPOCH fc-cache --system-only
