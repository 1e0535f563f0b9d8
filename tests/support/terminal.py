"""Every character that does something else on a terminal than to be seen in its place."""

CONTROLS = [chr(code) for code in (*range(0x20), 0x7F, *range(0x80, 0xA0))]  # C0, delete, C1
BREAKS = ["\u2028", "\u2029"]
# marks, embeddings, overrides and isolates of both directions, and what has no width
INVISIBLE = [chr(code) for code in (0xAD, 0x61C, *range(0x200B, 0x2010), *range(0x202A, 0x202F))]
INVISIBLE += [chr(code) for code in (*range(0x2060, 0x2065), *range(0x2066, 0x2070), 0xFEFF, 0xE0001)]

LEAVES_ITS_PLACE = CONTROLS + BREAKS + INVISIBLE
