"""DAF: where the defect is, by how a student's features disagree with a frozen teacher's."""
