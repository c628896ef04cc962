-- The word index of the memories, derived from `memories` by word_index.py.
-- `memory` holds the index terms of words.py, separated by spaces, so that SQLite only has to cut at the spaces. `scope`
-- holds one token per entity id of the memory, so that a search inside one user reads that user's postings only.
CREATE VIRTUAL TABLE memory_index USING fts5(
  memory, scope, tokenize="unicode61 remove_diacritics 0 categories 'L* N* M* Co'"
);
CREATE VIRTUAL TABLE memory_terms USING fts5vocab(memory_index, 'row');
-- The words as they are spelled, and each of them without any one letter: what a typing error may be corrected to.
CREATE TABLE words (word TEXT PRIMARY KEY, term TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE word_variants (variant TEXT NOT NULL, word TEXT NOT NULL, PRIMARY KEY (variant, word)) WITHOUT ROWID;
