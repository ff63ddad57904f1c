"""How much memory a network may take."""

from __future__ import annotations

from pathlib import Path

from zoo.engine.memory import _of_group

MIB = 1 << 20


def group(folder: Path, limit: str, used: int, files: int) -> Path:
    """Write the files of a control group, version 2."""
    (folder / "memory.max").write_text(f"{limit}\n")
    (folder / "memory.current").write_text(f"{used}\n")
    stat = {"anon": used - files, "file": files, "active_file": files // 4, "inactive_file": files}
    stat["inactive_file"] -= stat["active_file"]
    (folder / "memory.stat").write_text("".join(f"{k} {v}\n" for k, v in stat.items()))
    return folder


def test_files_that_the_kernel_keeps_in_memory_are_free(tmp_path: Path) -> None:
    assert _of_group(group(tmp_path, str(1000 * MIB), 990 * MIB, 900 * MIB)) == 910 * MIB
    assert _of_group(group(tmp_path, str(1000 * MIB), 1010 * MIB, 0)) == 0
    assert _of_group(group(tmp_path, "max", 10 * MIB, 0)) is None
    assert _of_group(tmp_path / "none") is None
