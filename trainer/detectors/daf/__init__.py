"""DAF locates a defect where a student's features disagree with those of a frozen teacher."""
