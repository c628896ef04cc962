-- The vectors of the memories, in half precision, made by embeddings.py.
CREATE TABLE vectors (
  row INTEGER PRIMARY KEY REFERENCES memories (row) ON DELETE CASCADE, model TEXT NOT NULL, vector BLOB NOT NULL
);
-- The signs of each vector's numbers as bits, in words of 64: what a wide search compares first. A chunk holds the codes of
-- 256 rows in order; a row without a vector has zeros.
CREATE TABLE vector_codes (
  model TEXT NOT NULL, chunk INTEGER NOT NULL, codes BLOB NOT NULL, PRIMARY KEY (model, chunk)
) WITHOUT ROWID;
CREATE TRIGGER vector_removed AFTER DELETE ON vectors BEGIN
  UPDATE vector_codes SET codes = CAST(
    substr(codes, 1, old.row % 256 * ((length(old.vector) / 2 + 63) / 64 * 8))
    || zeroblob((length(old.vector) / 2 + 63) / 64 * 8)
    || substr(codes, (old.row % 256 + 1) * ((length(old.vector) / 2 + 63) / 64 * 8) + 1) AS BLOB)
  WHERE model = old.model AND chunk = old.row / 256;
END;
