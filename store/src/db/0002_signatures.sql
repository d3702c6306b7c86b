-- What is signed of an object: 0 what it is, 1 its component.
CREATE TABLE signature (
    object  INTEGER NOT NULL REFERENCES object ON DELETE CASCADE,
    subject INTEGER NOT NULL CHECK (subject IN (0, 1)),
    key     TEXT NOT NULL,
    bytes   BLOB NOT NULL CHECK (length(bytes) = 64),
    PRIMARY KEY (object, subject, key, bytes)
) STRICT, WITHOUT ROWID;

-- The facts stand beside each signature: the row of a realisation takes over newer ones, which others have not signed.
CREATE TABLE realisation_signature (
    object      INTEGER NOT NULL REFERENCES object ON DELETE CASCADE,
    resolved    BLOB NOT NULL CHECK (length(resolved) = 32),
    output      TEXT NOT NULL,
    sandbox     TEXT NOT NULL,
    built_at    INTEGER NOT NULL,
    duration_ms INTEGER NOT NULL,
    key         TEXT NOT NULL,
    bytes       BLOB NOT NULL CHECK (length(bytes) = 64),
    PRIMARY KEY (object, resolved, output, sandbox, built_at, duration_ms, key, bytes)
) STRICT, WITHOUT ROWID;
CREATE INDEX realisation_signature_resolved ON realisation_signature (resolved);

-- Signatures of a component are of its exact text.
CREATE TRIGGER component_changed AFTER UPDATE OF component ON object WHEN new.component IS NOT old.component
BEGIN
    DELETE FROM signature WHERE object = new.id AND subject = 1;
END;
