"""What a profile says about a family of images, and who heeds it."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from suite_tools import feature, make_suite, scenario

from tailstest.core.errors import UsageError
from tailstest.core.events import Events
from tailstest.core.evidence import EvidenceFolder
from tailstest.core.paths import bundled
from tailstest.core.settings import Settings
from tailstest.machine.definition import MachineDefinition
from tailstest.machine.profile import Times, load_profile, load_profiles
from tailstest.suite.fitting import leave_out_what_does_not_fit
from tailstest.suite.plan import make_plan
from tailstest.suite.session import Session


def profile(folder, text, name="mine"):
    file = folder / "images" / name / "profile.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def test_times_languages_menus_and_features_are_read(tmp_path):
    read = load_profile(
        profile(
            tmp_path,
            """
            title = "Mine"
            boot_menu = { bios = "isolinux", uefi = "grub" }
            languages = ["de", "pt_BR", "sr@latin"]
            [times]
            boot = 60
            [features]
            skip_tags = { "@persistence" = "it keeps nothing" }
            """,
        )
    )
    assert (read.times.boot, read.times.desktop) == (60, Times().desktop)
    assert read.languages == ("de", "pt_BR", "sr@latin")
    assert (read.boot_menu_on("bios"), read.boot_menu_on("uefi")) == ("isolinux", "grub")
    assert read.reason_against(["slow", "persistence"]) == "@persistence: it keeps nothing"
    assert read.reason_against(["slow"]) == ""


def test_one_boot_menu_is_that_of_each_firmware(tmp_path):
    read = load_profile(profile(tmp_path, 'title = "Mine"\nboot_menu = "grub"\n'))
    assert (read.boot_menu_on("bios"), read.boot_menu_on("uefi")) == ("grub", "grub")


def test_a_menu_with_words_of_its_own_can_say_them(tmp_path):
    read = load_profile(profile(tmp_path, 'title = "Mine"\nboot_menu_text = " Press a key "\n'))
    assert read.boot_menu_text == "Press a key"
    assert load_profile(profile(tmp_path, 'title = "Mine"\n')).boot_menu_text == ""


def test_the_image_of_a_suite_in_the_present_folder_is_found_from_everywhere(tmp_path, monkeypatch):
    profile(tmp_path, 'title = "Mine"\n[image]\nfile = "my.iso"\n')
    iso = tmp_path / "images" / "mine" / "my.iso"
    iso.write_bytes(b"x" * 510 + b"\x55\xaa" + b"x" * 4096)
    monkeypatch.chdir(tmp_path)
    assert load_profiles([Path("images")])["mine"].image_path() == iso


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[times]\nboot = 0\n", "times.boot"),
        ("[times]\nboots = 5\n", "times.boots: unknown key; the known ones here are: boot,"),
        ("[times]\ndesktop = 'soon'\n", "times.desktop"),
        ("languages = ['german']\n", "languages.0"),
        ("languages = 'de'\n", "languages"),
        ("boot_menu = 'lilo'\n", "boot_menu"),
        ("boot_menu = { bios = 'lilo' }\n", "boot_menu"),
        ("[features]\nskip_tags = { persistence = 'x' }\n", "features.skip_tags.persistence"),
        ("[features]\nskip_tags = { '@x' = ' ' }\n", "features.skip_tags.@x"),
        ("[features]\nskip = { '@x' = 'y' }\n", "features.skip"),
    ],
)
def test_a_wrong_key_is_named_with_its_file(tmp_path, text, key):
    file = profile(tmp_path, f"title = 'x'\n{text}")
    with pytest.raises(UsageError) as error:
        load_profile(file)
    assert f"{file}: {key}" in str(error.value)


def test_the_bundled_profiles_of_others_images_say_who_has_a_desktop_and_how_to_get_in():
    profiles = load_profiles([bundled("images")])
    for name in ("debian-live", "tails"):
        assert profiles[name].desktop.users
        assert profiles[name].definition().channel == "debug-shell"
        with pytest.raises(UsageError, match="--image"):
            profiles[name].image_path()


STEPS = '''
from behave import given
from tailstest.suite.fitting import chooses_image

@given('the picture "{image}"')
@chooses_image
def use(context, image):
    """Choose."""

@given("what is under test")
@chooses_image
def use_it(context):
    """Choose."""
'''


@pytest.fixture
def suite(tmp_path):
    """Return a suite with scenarios that do not fit the family "mine", and some that do."""
    folder = make_suite(
        tmp_path / "suite",
        x=feature(
            "@keeps",
            scenario("other", 'Given the picture "other"', "Then I pass"),
            "@keeps",
            scenario("named", 'Given the picture "mine:variant"', "Then I pass"),
            "@keeps",
            scenario("under test", "Given what is under test", "Then I pass"),
            "@keeps",
            scenario("silent", "Given I pass"),
            scenario("fits", "Given what is under test", "Then I pass"),
        ),
    )
    (folder / "steps" / "choose.py").write_text(STEPS)
    skip = '[features]\nskip_tags = { "@keeps" = "it forgets" }\n'
    profile(folder, f'title = "Mine"\n{skip}')
    profile(folder, 'title = "Other"\n', "other")
    return folder


def left(suite, under_test, name=""):
    plan = make_plan([str(suite / "features")], name=name)
    leave_out_what_does_not_fit(plan, load_profiles([suite / "images"]), under_test)
    return plan


def test_a_scenario_that_does_not_fit_its_image_is_excluded_with_the_reason(suite):
    plan = left(suite, "mine")
    assert [each.name for each in plan.scenarios] == ["other", "fits"]
    assert {each.name: reason for each, reason in plan.excluded} == dict.fromkeys(
        ["named", "under test", "silent"], 'does not apply to "mine": @keeps: it forgets'
    )
    assert [each.name for each in left(suite, None).scenarios] == [
        *("other", "under test", "silent", "fits")
    ]
    assert len(left(suite, "other").scenarios) == 4


def test_a_run_in_which_nothing_fits_says_so(suite):
    with pytest.raises(UsageError, match=r"(?s)nothing to run.*@keeps: it forgets"):
        left(suite, "mine", name="named")


# The running machine and what the profile says by now


def session_with_mine(tmp_path, monkeypatch):
    """Return a session that has chosen the image of the profile "mine", which has no real one."""
    monkeypatch.setattr(
        "tailstest.suite.image_catalogue.find_image",
        lambda wanted, profiles, _suite: (tmp_path / "mine.iso", profiles[wanted]),
    )
    session = Session(
        settings=Settings(),
        events=Events(),
        evidence=EvidenceFolder(tmp_path),
        suite=tmp_path,
        images=[tmp_path / "images"],
    )
    session.use_image("mine")
    return session


def test_profiles_are_read_again_for_a_machine_that_runs(tmp_path, monkeypatch):
    file = profile(tmp_path, 'title = "x"\n[desktop]\nusers = ["old"]\n[times]\nboot = 60\n')
    (file.parent / "mine.iso").touch()
    session = session_with_mine(tmp_path, monkeypatch)
    limits, closed = [], []
    session.station.machine = SimpleNamespace(
        name="one",
        definition=MachineDefinition(),
        screen=SimpleNamespace(library=None),
        allow_boot=limits.append,
        deadline_scale=1.0,
        default_deadline=1.0,
    )
    assert session.inside.boot_limit == 60
    session.station.reach._tree = SimpleNamespace(close=lambda: closed.append(True))
    file.write_text('title = "x"\n[desktop]\nusers = ["new"]\n[times]\nboot = 90\n')
    session.reload_references()
    assert session.profile.desktop.users == ("new",)
    assert session.inside.boot_limit == 90
    assert limits == [90]
    # The old tree looks into the sessions of the old users.
    assert closed == [True]
    assert session.station.reach._tree is None
    file.write_text("title = \n")
    with pytest.raises(UsageError, match="not valid TOML"):
        session.reload_references()
    assert session.profile.desktop.users == ("new",)


def test_a_look_at_the_desktop_after_a_restart_waits_as_long_as_a_start_may_take(
    tmp_path, monkeypatch
):
    profile(tmp_path, 'title = "x"\n[desktop]\nusers = ["me"]\n[times]\nboot = 75\n')
    session = session_with_mine(tmp_path, monkeypatch)
    waited = []
    guest = SimpleNamespace(
        wait_ready=lambda deadline: waited.append(deadline.seconds), ping=lambda: 0.0
    )
    names = ("keyboard", "pointer", "tester")
    session.station.machine = SimpleNamespace(
        name="one",
        definition=MachineDefinition(),
        guest=guest,
        screen=SimpleNamespace(watches=[]),
        deadline_scale=2.0,
        default_deadline=1.0,
        **dict.fromkeys(names),
    )
    for _ in range(2):  # the second time there is a tree already
        _ = session.desktop
    assert waited == [150, 150]
