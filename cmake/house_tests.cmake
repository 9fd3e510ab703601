# Tests of the house itself: who includes whom, sources that no target builds, words that must not appear.
