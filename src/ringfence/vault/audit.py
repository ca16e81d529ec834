"""Holding every stored row against the ledger: each part must be what the newest entry about it says, and be there.

Rules of this file:
1. The ledger is checked first (`audit_ledger`): every lane's chain from its first batch, every entry against its
   header, every opening against its commitment, every seal. What is not sealed yet is reported, not trusted less.
2. Then the rows (`audit_rows`): subjects, keys, parts, tokens of the look-up. A part is opened where its bytes decide
   what other rows must say: whose a subject is, and by which token a record is found.
3. What was read is kept in a temporary database of digests and pseudonyms, so that memory stays bounded.
4. Every difference is a finding with its place; nothing is mended.

Work: one pass over the ledger, one over the rows. Nothing may write meanwhile: what is written after the ledger was
read is reported as a difference.
"""

from __future__ import annotations

from collections.abc import Callable

from ringfence.core.key_custody import KeyCustody
from ringfence.core.ports import Store
from ringfence.core.state import State
from ringfence.vault.audit_ledger import read_ledger
from ringfence.vault.audit_report import FINDINGS_MAX, AuditFinding, AuditReport
from ringfence.vault.audit_rows import check_rows
from ringfence.vault.audit_workspace import open_workspace

Report = Callable[[int, int], None]

__all__ = ["FINDINGS_MAX", "AuditFinding", "AuditReport", "audit_vault"]


async def audit_vault(store: Store, custody: KeyCustody, state: State, *, report: Report) -> AuditReport:
    """Hold every stored row against the ledger.

    Args:
        store: the vault and its ledger.
        custody: opens the ledger's openings, the subjects' keys and the parts that are looked into.
        state: the newest state; gives the lanes' keys.
        report: told of progress: parts done, parts in all.

    Raises:
        UnavailableError: the store does not answer.
    """
    found = AuditReport()
    with open_workspace() as workspace:
        charters = await read_ledger(store, custody, state, workspace, found)
        await check_rows(store, custody, workspace, charters, found, report=report)
    return found
