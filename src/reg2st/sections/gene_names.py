"""Names of genes: symbols beside Ensembl ids, and dates that spreadsheets made of symbols."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

ENSEMBL = re.compile(r"ENS[A-Z]*G\d+(?:\.\d+)?")
SYMBOL_AND_ENSEMBL = re.compile(rf"(.+?)[_|]{ENSEMBL.pattern}")

_MONTH = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
SPREADSHEET_DATE = re.compile(rf"\d{{1,2}}-{_MONTH}|{_MONTH}-\d{{1,2}}", re.IGNORECASE)


def spreadsheet_dates(genes: Iterable[str]) -> list[str]:
    """Genes whose names a spreadsheet turned into dates: MARCH1 into ``1-Mar``.

    Ziemann et al. 2016, doi 10.1186/s13059-016-1044-7.
    """
    return [gene for gene in genes if SPREADSHEET_DATE.fullmatch(gene)]


def are_ensembl(genes: Iterable[str]) -> bool:
    """Whether every gene is named by its Ensembl id."""
    return all(map(ENSEMBL.fullmatch, genes))


def symbols_of(genes: Sequence[str]) -> list[str]:
    """Symbols where every gene is named by symbol and Ensembl id: ``ACTB_ENSG00000075624``.

    Other names stay as they are.
    """
    found = [SYMBOL_AND_ENSEMBL.fullmatch(gene) for gene in genes]
    return list(genes) if None in found else unique_symbols([it[1] for it in found], genes)


def unique_symbols(symbols: Sequence[str], ids: Sequence[str]) -> list[str]:
    """The symbol of each gene; where it has none or shares it with another gene, its id."""
    number = Counter(symbols)
    return [
        symbol if symbol and number[symbol] == 1 else gene
        for symbol, gene in zip(symbols, ids, strict=True)
    ]
