"""Write zoo_weekdays/weekdays.csv: phrases that name a weekday, in seven languages.

The patterns of phrases in the test part are not in the training part, so that its score is about
phrases of another form. Half of the phrases have a typing error. The file is the same each time.
"""

from __future__ import annotations

import csv
import random
import sys
from pathlib import Path

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

# Names of the days, and patterns of phrases; those after the bar are in the test part alone.
LANGUAGES = {
    "dutch": (
        "maandag dinsdag woensdag donderdag vrijdag zaterdag zondag",
        "op {}, volgende week {}, aanstaande {}, {} om 9 uur, elke {}, tot {}, de laatste {} van "
        "mei, afspraak op {} | {}ochtend, we zien elkaar {}, {} gesloten",
    ),
    "english": (
        "Monday Tuesday Wednesday Thursday Friday Saturday Sunday",
        "on {}, next {}, this coming {}, {} at 9 am, every {}, until {}, the last {} in May, "
        "appointment on {} | {} morning, see you {}, closed {}s",
    ),
    "french": (
        "lundi mardi mercredi jeudi vendredi samedi dimanche",
        "le {}, {} prochain, ce {}, {} à 9 heures, chaque {}, jusqu'à {}, le dernier {} de mai, "
        "rendez-vous {} | {} matin, on se voit {}, fermé le {}",
    ),
    "german": (
        "Montag Dienstag Mittwoch Donnerstag Freitag Samstag Sonntag",
        "am {}, nächsten {}, kommenden {}, {} um 9 Uhr, jeden {}, bis {}, der letzte {} im Mai, "
        "Termin am {} | {}morgen, wir sehen uns {}, {}s geschlossen",
    ),
    "italian": (
        "lunedì martedì mercoledì giovedì venerdì sabato domenica",
        "di {}, da {}, per {}, {} alle 9, ogni {}, fino a {}, entro {}, "
        "appuntamento {} | {} mattina, ci vediamo {}, chiuso di {}",
    ),
    "spanish": (
        "lunes martes miércoles jueves viernes sábado domingo",
        "el {}, el próximo {}, este {}, {} a las 9, cada {}, hasta el {}, el último {} de mayo, "
        "cita el {} | {} por la mañana, nos vemos el {}, cerrado el {}",
    ),
    "swedish": (
        "måndag tisdag onsdag torsdag fredag lördag söndag",
        "på {}, nästa {}, nu på {}, {} klockan 9, varje {}, till {}, sista {}en i maj, "
        "möte på {} | {} morgon, vi ses på {}, stängt {}ar",
    ),
}  # fmt: skip


def with_error(text: str, generator: random.Random) -> str:
    """Return a text in which a letter is left out, doubled, or changes places with the next."""
    at = generator.randrange(1, len(text) - 1)
    change = generator.choice(("drop", "double", "swap"))
    if change == "drop":
        return text[:at] + text[at + 1 :]
    if change == "double":
        return text[:at] + text[at] + text[at:]
    return text[:at] + text[at + 1] + text[at] + text[at + 2 :]


def rows() -> list[tuple[str, str, str, str]]:
    """Return text, weekday, language and part of every phrase."""
    generator = random.Random(1)
    found: dict[str, tuple[str, str, str, str]] = {}
    for language, (names, patterns) in LANGUAGES.items():
        for part, listed in zip(("train", "test"), patterns.split("|"), strict=True):
            for pattern in listed.split(","):
                for day, name in zip(DAYS, names.split(), strict=True):
                    for text in (
                        pattern.strip().format(name),
                        pattern.strip().format(with_error(name, generator)),
                        pattern.strip().format(with_error(name, generator)).lower(),
                        pattern.strip().format(name).lower(),
                    ):
                        found.setdefault(text, (text, day, language, part))
    return list(found.values())


def main(path: Path) -> None:
    """Write the table."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("text", "weekday", "language", "split"))
        writer.writerows(rows())


if __name__ == "__main__":
    here = Path(__file__).parent / "zoo_weekdays" / "weekdays.csv"
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else here)
