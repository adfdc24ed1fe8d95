"""Which scenarios a change needs to have run: a pure function, with a reason for each of them."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from tailstest.core.errors import UsageError
from tailstest.results.wording import plural
from tailstest.suite.choosing.policy import ChoicePolicy, Concern

#: Files of a reference image.
_REFERENCE = (".png", ".json")


@dataclass(frozen=True)
class Change:
    """What is to be tested.

    Attributes:
        branch: "" when nobody said.
        tag: of git; "" without one.
        files: that changed, relative to the top of the repository; None when that is not known.
        base: what they were compared with, for people.
    """

    branch: str = ""
    tag: str = ""
    files: tuple[str, ...] | None = None
    base: str = ""


@dataclass(frozen=True)
class ScenarioFacts:
    """What a scenario is made of; files are relative to the top of the repository.

    Attributes:
        feature: its file.
        place: that file relative to the suite, as policies name it.
        step_files: files of the definitions of its steps.
        references: names of reference images that its steps name, by name or tag.
        profiles: names of the images that it boots; "" stands for one that nobody named.
    """

    id: str
    name: str
    location: str
    feature: str
    place: str
    tags: frozenset[str] = frozenset()
    step_files: frozenset[str] = frozenset()
    references: frozenset[str] = frozenset()
    profiles: frozenset[str] = frozenset()


@dataclass(frozen=True)
class SuiteFacts:
    """A suite: its scenarios, files with step definitions, and folders, all below the top.

    Attributes:
        others: scenarios that do not fit the image or are left out; never chosen, but known.
        root: folder of the suite; "" when it is the top itself.
        is_whole: whether these are all of its scenarios; only then a name that none has is wrong.
    """

    scenarios: tuple[ScenarioFacts, ...]
    others: tuple[ScenarioFacts, ...] = ()
    step_files: frozenset[str] = frozenset()
    root: str = ""
    is_whole: bool = True

    def inside(self, file: str) -> str | None:
        """Return a file relative to the suite, None for one outside of it."""
        if not self.root:
            return file
        return file.removeprefix(f"{self.root}/") if file.startswith(f"{self.root}/") else None


@dataclass(frozen=True)
class Chosen:
    """The choice.

    Attributes:
        headline: why, in one sentence.
        reasons: id of each chosen scenario to the reason.
        against: id of each other one to the reason.
        notes: what somebody should look at.
    """

    headline: str
    reasons: Mapping[str, str]
    against: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Effect:
    """What one changed file concerns; `everything` is the reason for all, "" for only `ids`."""

    why: str
    ids: frozenset[str] = frozenset()
    everything: str = ""


def choose(change: Change, policy: ChoicePolicy, suite: SuiteFacts) -> Chosen:
    """Return what a change needs to have run; never nothing, and never without a reason.

    In this order: a tag or branch for everything; a change that nobody knows; files that concern
    everything, or of which nobody says what they concern; only documentation: what depends on it;
    else what the files concern and the trusted scenarios.

    Raises:
        UsageError: the policy names a scenario, feature or tag that the suite does not have, or
            there is no scenario at all.
    """
    if not suite.scenarios:
        raise UsageError("there is no scenario to choose from")
    concerned = _concerned(policy, suite)
    whole = _whole(change, policy)
    if whole:
        return _everything(whole, suite)
    files = tuple(dict.fromkeys(change.files or ()))
    effects = {file: _effect(file, policy, suite, concerned) for file in files}
    for file, effect in effects.items():
        if effect.everything:
            return _everything(f"everything: {file} changed, {effect.everything}", suite)
    reasons: dict[str, str] = {}
    for file, effect in effects.items():
        for each in sorted(effect.ids):
            reasons.setdefault(each, f"{file} changed: {effect.why}")
    notes = [f"{file} changed: {effect.why}" for file, effect in effects.items() if not effect.ids]
    documents = [file for file in files if _fits(file, policy.documentation.files)]
    if files and len(documents) == len(files):
        against = "the change is documentation that it does not depend on"
        headline = "only documentation changed: what depends on it"
    else:
        for scenario in _trusted(policy, suite):
            reasons.setdefault(scenario.id, f"trusted: {_tags(policy.topic.trusted)}")
        against = "nothing that changed concerns it, and it is not one of the trusted ones"
        number = plural(len(files), "changed file")
        headline = f"the trusted scenarios, and those that {number} may concern"
    if not reasons:
        return _instead(headline, policy, suite, notes)
    left = {each.id: against for each in suite.scenarios if each.id not in reasons}
    return Chosen(headline, reasons, left, tuple(notes))


def _whole(change: Change, policy: ChoicePolicy) -> str:
    if change.tag and _fits(change.tag, policy.everything.tags):
        return f"everything: the tag {change.tag} is one for that"
    if change.branch and _fits(change.branch, policy.everything.branches):
        return f"everything: the branch {change.branch} is one for that"
    if change.files is None:
        return "everything: it is not known what changed"
    return ""


def _everything(headline: str, suite: SuiteFacts) -> Chosen:
    return Chosen(headline, {each.id: headline for each in suite.scenarios})


def _instead(
    headline: str, policy: ChoicePolicy, suite: SuiteFacts, notes: Sequence[str]
) -> Chosen:
    """Return what runs where nothing would: a run of nothing would be green for no reason."""
    trusted = _trusted(policy, suite)
    why = "nothing that changed concerns any scenario"
    if not trusted:
        found = _everything(f"everything: {why}, and none is trusted", suite)
        return Chosen(found.headline, found.reasons, notes=(*notes, headline))
    text = f"trusted, because {why}"
    left = {each.id: why for each in suite.scenarios if each not in trusted}
    note = f"{headline}; the trusted ones run instead of nothing"
    return Chosen(
        f"the trusted scenarios: {why}", {each.id: text for each in trusted}, left, (*notes, note)
    )


def _effect(
    file: str,
    policy: ChoicePolicy,
    suite: SuiteFacts,
    concerned: Mapping[Concern, frozenset[str]],
) -> _Effect:
    """Return what one file concerns; what the policy says goes before what is known anyway."""
    if _fits(file, policy.everything.files):
        return _Effect("", everything="which concerns all by the policy")
    fitting = [each for each in policy.concern if _fits(file, each.files)]
    if fitting:
        ids = frozenset().union(*(concerned[each] for each in fitting))
        words = "; ".join(each.words for each in fitting)
        return _Effect(f"by the policy it concerns {words}", ids)
    if _fits(file, policy.documentation.files):
        return _Effect("documentation that no scenario depends on")
    below = suite.inside(file)
    path = PurePosixPath(below or "")
    if path.suffix == ".feature":
        own = _ids(suite, lambda each: each.feature == file)
        return _Effect("its feature" if own else "a feature that no planned scenario is in", own)
    if path.parts[:1] == ("steps",) and path.suffix == ".py":
        if file not in suite.step_files:
            return _Effect("", everything="and any step may use it, as it defines none itself")
        own = _ids(suite, lambda each: file in each.step_files)
        return _Effect("it defines its steps" if own else "it defines steps that nobody uses", own)
    if path.parts[:1] == ("images",) and len(path.parts) > 2:
        return _image(path, suite)
    return _Effect("", everything="and nothing says what it concerns")


def _image(path: PurePosixPath, suite: SuiteFacts) -> _Effect:
    profile = path.parts[1]
    on_it = _ids(suite, lambda each: profile in each.profiles or "" in each.profiles)
    if path.suffix in _REFERENCE:
        users = _ids(suite, lambda each: path.stem in each.references)
        if users:
            return _Effect(f'it uses the reference image "{path.stem}"', users)
        why = f'it is on {profile}, and no step names the reference image "{path.stem}"'
        return _Effect(why, on_it)
    return _Effect(f"it is on {profile}" if on_it else f"no scenario is on {profile}", on_it)


def _concerned(policy: ChoicePolicy, suite: SuiteFacts) -> dict[Concern, frozenset[str]]:
    """Return what each concern means, after looking whether all that it names is there."""
    if suite.is_whole:
        _check(policy, (*suite.scenarios, *suite.others))
    found = {}
    for concern in policy.concern:
        wanted = {tag.removeprefix("@") for tag in concern.tags}
        found[concern] = frozenset(
            each.id
            for each in suite.scenarios
            if each.tags & wanted
            or any(fnmatchcase(each.place, pattern) for pattern in concern.features)
            or any(text in (each.id, each.name, each.location) for text in concern.scenarios)
        )
    return found


def _check(policy: ChoicePolicy, everyone: Sequence[ScenarioFacts]) -> None:
    """Raise for the first thing that a policy names and no scenario has."""
    known = {text for each in everyone for text in (each.id, each.name, each.location)}
    tags = {tag for each in everyone for tag in each.tags}
    places = {each.place for each in everyone}
    named = [tag for concern in policy.concern for tag in concern.tags]
    if "trusted" in policy.topic.model_fields_set:
        named += policy.topic.trusted
    for tag in named:
        if tag.removeprefix("@") not in tags:
            raise _unknown("tag", tag, {f"@{each}" for each in tags})
    for concern in policy.concern:
        for pattern in concern.features:
            if not any(fnmatchcase(place, pattern) for place in places):
                raise _unknown("feature", pattern, places)
        for text in concern.scenarios:
            if text not in known:
                raise _unknown("scenario", text, known)


def _unknown(kind: str, text: str, known: Iterable[str]) -> UsageError:
    near = difflib.get_close_matches(text, sorted(known), n=3, cutoff=0.4)
    return UsageError(
        f'the policy names the {kind} "{text}", which no scenario of the suite has',
        hint=f"similar: {', '.join(near)}" if near else "remove what is no longer there",
    )


def _trusted(policy: ChoicePolicy, suite: SuiteFacts) -> list[ScenarioFacts]:
    wanted = {tag.removeprefix("@") for tag in policy.topic.trusted}
    return [each for each in suite.scenarios if each.tags & wanted]


def _ids(suite: SuiteFacts, fits: Callable[[ScenarioFacts], bool]) -> frozenset[str]:
    return frozenset(each.id for each in suite.scenarios if fits(each))


def _fits(text: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(text, pattern) for pattern in patterns)


def _tags(tags: Iterable[str]) -> str:
    return ", ".join(f"@{tag.removeprefix('@')}" for tag in tags)
