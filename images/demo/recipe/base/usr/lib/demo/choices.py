"""What can be chosen on the welcome screen, and its words in each language."""

from typing import NamedTuple


class Language(NamedTuple):
    """A language: its own name, the locale, and the words of the welcome screen."""

    name: str
    locale: str
    words: dict


KEYBOARDS = {"us": "English (US)", "de": "Deutsch", "fr": "Français", "es": "Español"}

LANGUAGES = {
    "en": Language("English", "en_US.UTF-8", {
        "welcome": "Welcome", "language": "Language", "keyboard": "Keyboard layout",
        "password": "Administration password", "repeat": "Repeat the password",
        "storage": "Persistent storage", "read_only": "Read-only",
        "unlock": "Unlock", "unlocked": "The persistent storage is open",
        "wrong": "The passphrase is wrong.",
        "network": "Connect to networks", "hide": "Hide the hardware address",
        "differ": "The two passwords differ", "start": "Start", "off": "Shut down",
        "hint": "Everything is forgotten when the computer is switched off.",
    }),
    "de": Language("Deutsch", "de_DE.UTF-8", {
        "welcome": "Willkommen", "language": "Sprache", "keyboard": "Tastaturbelegung",
        "password": "Administrationspasswort", "repeat": "Passwort wiederholen",
        "storage": "Dauerhafter Speicher", "read_only": "Nur lesen",
        "unlock": "Öffnen", "unlocked": "Der dauerhafte Speicher ist offen",
        "wrong": "Das Kennwort ist falsch.",
        "network": "Mit Netzwerken verbinden", "hide": "Hardware-Adresse verbergen",
        "differ": "Die Passwörter sind verschieden", "start": "Starten", "off": "Ausschalten",
        "hint": "Beim Ausschalten des Computers wird alles vergessen.",
    }),
    "fr": Language("Français", "fr_FR.UTF-8", {
        "welcome": "Bienvenue", "language": "Langue", "keyboard": "Disposition du clavier",
        "password": "Mot de passe d'administration", "repeat": "Répéter le mot de passe",
        "storage": "Stockage persistant", "read_only": "Lecture seule",
        "unlock": "Ouvrir", "unlocked": "Le stockage persistant est ouvert",
        "wrong": "La phrase de passe est fausse.",
        "network": "Se connecter aux réseaux", "hide": "Cacher l'adresse matérielle",
        "differ": "Les mots de passe diffèrent", "start": "Démarrer", "off": "Éteindre",
        "hint": "Tout est oublié quand l'ordinateur est éteint.",
    }),
}
