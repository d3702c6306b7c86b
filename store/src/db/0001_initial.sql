CREATE TABLE object (
    id             INTEGER PRIMARY KEY,
    digest         BLOB NOT NULL UNIQUE CHECK (length(digest) = 25),  -- the first bytes of `full`: what the path shows
    full           BLOB NOT NULL UNIQUE CHECK (length(full) = 32),
    name           TEXT NOT NULL,
    root           BLOB NOT NULL,                                     -- the node, as `tree/FORMAT.md` encodes it
    self_reference INTEGER NOT NULL CHECK (self_reference IN (0, 1)),
    size_bytes     INTEGER NOT NULL,
    nodes          INTEGER NOT NULL,
    state          INTEGER NOT NULL DEFAULT 0,                        -- 0 valid, 1 being deleted, 2 damaged, 3 both
    registered     INTEGER NOT NULL,                                  -- seconds since 1970
    component      TEXT                                               -- JSON
) STRICT;

CREATE TABLE reference (
    referrer   INTEGER NOT NULL REFERENCES object ON DELETE CASCADE,
    referenced INTEGER NOT NULL REFERENCES object ON DELETE RESTRICT,
    file       TEXT NOT NULL,
    offset     INTEGER NOT NULL,
    PRIMARY KEY (referrer, referenced)
) STRICT, WITHOUT ROWID;
CREATE INDEX reference_reverse ON reference (referenced, referrer);

-- No foreign key: what was built to what stays true when the object is gone.
CREATE TABLE realisation (
    resolved    BLOB NOT NULL CHECK (length(resolved) = 32),
    output      TEXT NOT NULL,
    object      BLOB NOT NULL CHECK (length(object) = 32),
    sandbox     TEXT NOT NULL,
    built_at    INTEGER NOT NULL,
    duration_ms INTEGER NOT NULL,
    PRIMARY KEY (resolved, output, object)
) STRICT, WITHOUT ROWID;
CREATE INDEX realisation_object ON realisation (object);

CREATE TABLE root (
    name    TEXT PRIMARY KEY,
    object  INTEGER NOT NULL REFERENCES object ON DELETE RESTRICT,
    kind    INTEGER NOT NULL,                                         -- 0 explicit, 1 build result
    created INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX root_object ON root (object);
