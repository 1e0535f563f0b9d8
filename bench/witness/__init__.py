"""Witnesses from outside: do AutoAttack's own code and auto-LiRPA find more than our attacks and proofs?"""
