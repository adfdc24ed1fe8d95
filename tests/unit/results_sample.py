"""A run with every kind of ending, told through events as a real run tells it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from tailstest.core.events import (
    ArtifactKept,
    Events,
    FrameKept,
    Looked,
    MachineChanged,
    Noted,
    PlanMade,
    RunFinished,
    RunStarted,
    ScenarioFinished,
    ScenarioStarted,
    StepFinished,
    StepStarted,
    Typed,
)
from tailstest.results.run_folder import RunFolder

PICTURES = Path(__file__).resolve().parent.parent / "data" / "results"
HOSTILE = (
    '<script>document.title="owned"</script> ]]> \x1b[31m\x00\x07 \u202egnp.exe שלום '
    "[[ATTACHMENT|/etc/passwd]] \"'&"
)
#: One attempt of five fails.
FLAKY = ("passed", "failed", "passed", "passed", "passed")

ENVIRONMENT = {
    "image": {"path": "images/debian-installer-gtk.iso", "sha256": "4be1" * 16, "size": 48_234_496},
    "host": {
        "accelerator": "tcg",
        "accelerator_reason": "/dev/kvm opens, but the probe program did not end within 3 s",
        "deadline_scale": 4.2,
        "cpus": 2,
    },
    "versions": {"tailstest": "0.1.0", "QEMU": "7.2.15", "libvirt": "9.0.0", "OpenCV": "5.0.0"},
    "kernel_parameters_added": [],
}


class Sample:
    """Publishes a made-up run; the pictures and files it names exist in the folder."""

    def __init__(self, folder: RunFolder, events: Events) -> None:
        self.folder = folder
        self.events = events
        self.now = 1_790_000_000.0
        self.keep = folder.evidence

    def tell(self, event: type, /, **values: object) -> None:
        self.now += 0.25
        self.events.publish(event(time=self.now, **values))

    def frame(self, name: str, reason: str = "step") -> str:
        target = self.keep.path("frames", reason, ".png")
        shutil.copyfile(PICTURES / f"{name}.png", target)
        height, width = cv2.imread(str(target)).shape[:2]
        path = self.keep.relative(target)
        self.tell(FrameKept, path=path, reason=reason, width=width, height=height)
        return path

    def picture(self, kind: str, name: str, pixels: np.ndarray) -> str:
        target = self.keep.path(kind, name, ".png")
        assert cv2.imwrite(str(target), pixels)
        return self.keep.relative(target)

    def text_file(self, kind: str, name: str, text: str) -> str:
        target = self.keep.path("logs", name, ".log")
        target.write_bytes(text.encode("utf-8", "surrogatepass"))
        path = self.keep.relative(target)
        self.tell(ArtifactKept, kind=kind, path=path, title=name)
        return path

    def start(self, scenario_id: str, name: str, steps: list[str], **more: object) -> None:
        values = {
            "feature": "The installer can be started",
            "feature_file": "features/installer/start.feature",
            "location": f"features/installer/start.feature:{10 + len(scenario_id)}",
            "tags": ["installer"],
        } | more
        self.tell(ScenarioStarted, scenario_id=scenario_id, name=name, steps=steps, **values)

    def step(
        self,
        scenario_id: str,
        index: int,
        text: str,
        *,
        verdict: str = "passed",
        frame: str = "",
        **more: object,
    ) -> None:
        self.begin(scenario_id, index, text)
        if frame:
            self.frame(frame)
        self.tell(
            StepFinished, scenario_id=scenario_id, index=index, verdict=verdict, seconds=1.5, **more
        )

    def begin(self, scenario_id: str, index: int, text: str, **more: object) -> None:
        self.tell(
            StepStarted,
            scenario_id=scenario_id,
            index=index,
            keyword="Given" if index == 0 else "Then",
            text=text,
            location=f"features/installer/start.feature:{20 + index}",
            **more,
        )

    def end(self, scenario_id: str, verdict: str, error: str = "") -> None:
        self.tell(
            ScenarioFinished, scenario_id=scenario_id, verdict=verdict, seconds=9.0, error=error
        )

    def whole(self, *, killed: bool = False) -> None:
        """Tell the whole run; a killed one stops in the middle of the scenario "killed"."""
        self.opening()
        self.passing()
        self.greyed_out()
        self.text_missing()
        self.undefined()
        self.hostile()
        self.host_trouble()
        if killed:
            self.start("killed", "The run dies here", ["the machine boots", "nothing more"])
            self.begin("killed", 0, "the machine boots")
            return
        counts = {"passed": 1, "failed": 3, "errored": 1, "incomplete": 1, "not run": 2}
        self.tell(RunFinished, counts=counts, exit_status=1)

    def opening(self) -> None:
        self.tell(
            RunStarted,
            run_id=self.folder.run_id,
            command=["tailstest", "run", "features/installer", "--image", "installer.iso"],
            environment=ENVIRONMENT,
        )
        planned = ["pass", "grey", "text", "undefined", "hostile", "host", "killed", "later"]
        self.tell(
            PlanMade,
            scenarios=[
                {
                    "id": one,
                    "name": f"planned as {one}",
                    "feature": "The installer can be started",
                    "location": f"features/installer/start.feature:{10 + len(one)}",
                }
                for one in planned
            ],
            excluded=[
                {
                    "id": "x",
                    "name": "Wi-Fi is offered",
                    "feature": "Network",
                    "location": "features/net.feature:3",
                    "reason": "tag @wifi: this host has no radio",
                }
            ],
            problems=["features/broken.feature:7: a step stands before any scenario"],
            selection="features/installer and not @wifi",
        )

    def passing(self) -> None:
        steps = ["the machine boots from DVD", 'the text "GNU GRUB" is seen', "I press Down"]
        self.start("pass", "The boot menu comes up – Démarrage キー", steps)
        for index, (text, frame) in enumerate(
            zip(steps, ["grub-menu", "grub-menu", "memtest"], strict=True)
        ):
            self.step("pass", index, text, frame=frame)
        self.tell(Typed, text="Down", keys=1)
        self.end("pass", "passed")

    def greyed_out(self) -> None:
        steps = ["the installer has started", 'I click "continue"', "the country list is seen"]
        self.start("grey", "The language can be confirmed", steps)
        self.step("grey", 0, steps[0], frame="installer")
        self.begin("grey", 1, steps[1])
        self.tell(MachineChanged, machine="tester", state="running")
        frame = self.frame("installer", "failure")
        screen = cv2.imread(str(PICTURES / "installer.png"))
        reference = screen[728:756, 912:1014]
        grey = (reference.astype(np.float32) * 0.35 + 150).astype(np.uint8)
        files = {
            "frame": frame,
            "reference": self.picture("candidates", "continue-reference", reference),
            "candidate": self.picture("candidates", "continue", grey),
        }
        look = {
            "reference": "continue",
            "outcome": "greyed out",
            "found": False,
            "explanation": '"continue" is there at 912,728, but greyed out: 35% of the contrast',
            "areas": [
                {
                    "recorded": [908, 724, 102, 28],
                    "place": [912, 728, 102, 28],
                    "offset": [4, 4],
                    "outcome": "greyed out",
                    "scores": {
                        "correlation": 0.992,
                        "contrast": 0.35,
                        "brightness": 61.0,
                        "difference": 0.04,
                        "colour": 2.1,
                        "changed": 0.31,
                    },
                    "limits": {
                        "correlation": 0.9,
                        "contrast": 0.8,
                        "brightness": 24.0,
                        "difference": 0.2,
                        "colour": 9.0,
                    },
                    "next_best": 0.41,
                    "margin": 0.58,
                    "searched": [880, 700, 144, 68],
                    "differs": [940, 734, 40, 16],
                    "explanation": "there at 912,728, but greyed out: 35% of the contrast",
                }
            ],
            "searched": [880, 700, 144, 68],
            "milliseconds": 4.2,
        }
        self.tell(
            Looked, kind="reference", wanted=["continue"], found=False, look=look, files=files
        )
        self.tell(
            StepFinished,
            scenario_id="grey",
            index=1,
            verdict="failed",
            seconds=30.2,
            error='the picture "continue" was not seen within 30 s: it is there, but greyed out',
            hint="select a language before, or look why the button cannot be used",
        )
        self.tell(StepFinished, scenario_id="grey", index=2, verdict="skipped", seconds=0.0)
        self.text_file("serial", "serial console", "[    0.000000] Linux version 6.1\n" * 40)
        self.tell(Noted, text="keys were sent slower than usual", level="warning")
        self.end("grey", "failed")

    def text_missing(self) -> None:
        steps = ["the machine boots", 'the text "Select a langauge" is seen']
        self.start("text", "The first question is asked", steps)
        self.step("text", 0, steps[0], frame="ipxe")
        self.begin("text", 1, steps[1])
        frame = self.frame("installer", "failure")
        look = {
            "found": False,
            "text": "Select a langauge",
            "read": "Select a language",
            "objection": "",
            "score": 0.88,
            "threshold": 0.92,
            "place": [16, 84, 126, 20],
            "engine": "tesseract",
            "lines": [
                {"text": "Select a language", "confidence": 0.96},
                {"text": "Bulgarian", "confidence": 0.93},
                {"text": "Български", "confidence": 0.61},
            ],
        }
        self.tell(
            Looked,
            kind="text",
            wanted=["Select a langauge"],
            found=False,
            look=look,
            files={"frame": frame},
        )
        self.tell(
            StepFinished,
            scenario_id="text",
            index=1,
            verdict="failed",
            seconds=30.0,
            error='the text "Select a langauge" was not seen within 30 s',
        )
        self.end("text", "failed")

    def undefined(self) -> None:
        self.start("undefined", "A step nobody wrote", ["I dance"])
        self.step(
            "undefined",
            0,
            "I dance",
            verdict="errored",
            error='there is no step "I dance"',
            hint='the nearest one is "I press {keys}"; see: tailstest steps',
        )
        self.end("undefined", "errored")

    def hostile(self) -> None:
        self.start("hostile", HOSTILE, [HOSTILE], feature_file="features/hostile.feature")
        self.begin("hostile", 0, HOSTILE, table=[["key", HOSTILE]], doc=HOSTILE)
        self.tell(Typed, text=HOSTILE, keys=9, repaired=2)
        self.tell(
            Looked,
            kind="text",
            wanted=[HOSTILE],
            found=False,
            look={"text": HOSTILE, "words": [{"text": HOSTILE, "score": 0.5}], HOSTILE: HOSTILE},
            files={"frame": "../../../etc/passwd", "candidate": "/etc/passwd"},
        )
        self.tell(
            StepFinished,
            scenario_id="hostile",
            index=0,
            verdict="failed",
            seconds=2.0,
            error=HOSTILE,
            hint=HOSTILE,
            details=HOSTILE,
        )
        self.text_file("serial", "serial " + HOSTILE, (HOSTILE + "\n") * 50)
        self.end("hostile", "failed", HOSTILE)

    def flaky(self, scenario_id: str = "wobbly", verdicts: Sequence[str] = FLAKY) -> None:
        """Tell several attempts at one scenario."""
        for verdict in verdicts:
            error = "" if verdict == "passed" else "the light is off"
            self.start(scenario_id, f"{scenario_id} light", ["the light is on"])
            self.step(scenario_id, 0, "the light is on", verdict=verdict, error=error)
            self.end(scenario_id, verdict)

    def host_trouble(self) -> None:
        self.start("host", "The host runs out of memory", ["the machine boots"])
        self.step(
            "host",
            0,
            "the machine boots",
            verdict="incomplete",
            error="QEMU ended: cannot allocate memory",
            hint="close other programs or give the machine less memory",
        )
        self.end("host", "incomplete")
