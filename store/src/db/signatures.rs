//! Rows of the signatures that are known of objects and of what was built to them.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    DbError,
    connection::{Database, Write},
    objects::{from_sql, store_path, to_sql},
};
use crate::{
    id::{ObjectId, ResolvedDigest, StorePath},
    info::Realisation,
    trust::{Signature, SignatureSet, Signatures, SignedComponent, SignedRealisation},
};

const OBJECT: i64 = 0;
const COMPONENT: i64 = 1;
/// What [`read_realisation`] reads.
const REALISATION: &str =
    "full, digest, name, resolved, output, sandbox, built_at, duration_ms, key, bytes
    FROM realisation_signature JOIN object ON object.id = realisation_signature.object";

/// An object as its signatures need it.
struct Signed {
    id: i64,
    path: StorePath,
    component: Option<String>,
}

impl Database {
    /// Returns the signatures that are known of a valid object; none for what is not valid.
    pub(crate) fn find_signatures(&self, object: &ObjectId) -> Result<Signatures, DbError> {
        match find(self.connection(), object)? {
            Some(signed) => load(self.connection(), &signed),
            None => Ok(Signatures::default()),
        }
    }

    /// Returns the signed realisations of a derivation that ended in valid objects, ascending by object, output and facts.
    pub(crate) fn find_realisation_signatures(
        &self,
        resolved: &ResolvedDigest,
    ) -> Result<Vec<SignedRealisation>, DbError> {
        let condition =
            "resolved = ?1 AND state = 0 ORDER BY full, output, sandbox, built_at, duration_ms";
        load_realisations(self.connection(), condition, resolved.as_bytes())
    }
}

impl Write<'_> {
    /// Adds signatures to those that are known of a valid object. Returns all that are known then; `None` if nothing was new or the object is not valid.
    ///
    /// Left out are signatures of another object's realisations, of another component than the object has, and whatever exceeds the limits of
    /// [`Signatures::merge`].
    pub(crate) fn add_signatures(
        &self,
        object: &ObjectId,
        new: &Signatures,
    ) -> Result<Option<Signatures>, DbError> {
        let Some(signed) = find(self.connection(), object)? else {
            return Ok(None);
        };
        let before = load(self.connection(), &signed)?;
        let mut new = new.clone();
        new.component
            .take_if(|component| signed.component.as_ref() != Some(&component.json));
        new.realisations
            .retain(|signed| signed.realisation.object == *object);
        for realisation in &mut new.realisations {
            realisation.realisation.path = signed.path.clone();
        }
        let mut after = before.clone();
        if !after.merge(&new) {
            return Ok(None);
        }
        self.insert_signatures(signed.id, OBJECT, &before.object, &after.object)?;
        if let Some(component) = &after.component {
            let before = before.component.map(|component| component.signatures);
            let before = before.unwrap_or_default();
            self.insert_signatures(signed.id, COMPONENT, &before, &component.signatures)?;
        }
        for realisation in &after.realisations {
            self.insert_realisation_signatures(signed.id, realisation)?;
        }
        Ok(Some(after))
    }

    fn insert_signatures(
        &self,
        object: i64,
        subject: i64,
        before: &SignatureSet,
        after: &SignatureSet,
    ) -> Result<(), DbError> {
        for signature in after.iter().filter(|signature| !before.contains(signature)) {
            self.connection()
                .prepare_cached(
                    "INSERT INTO signature (object, subject, key, bytes) VALUES (?1, ?2, ?3, ?4)",
                )
                .and_then(|mut statement| {
                    statement.execute(params![
                        object,
                        subject,
                        signature.name().as_str(),
                        signature.as_bytes()
                    ])
                })
                .map_err(DbError::query("insert a signature"))?;
        }
        Ok(())
    }

    fn insert_realisation_signatures(
        &self,
        object: i64,
        signed: &SignedRealisation,
    ) -> Result<(), DbError> {
        let facts = &signed.realisation;
        for signature in signed.signatures.iter() {
            self.connection()
                .prepare_cached(
                    "INSERT OR IGNORE INTO realisation_signature
                     (object, resolved, output, sandbox, built_at, duration_ms, key, bytes) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                )
                .and_then(|mut statement| {
                    statement.execute(params![
                        object,
                        facts.resolved.as_bytes(),
                        facts.output,
                        facts.sandbox,
                        to_sql(facts.built_at),
                        to_sql(facts.duration_ms),
                        signature.name().as_str(),
                        signature.as_bytes()
                    ])
                })
                .map_err(DbError::query("insert a signature"))?;
        }
        Ok(())
    }
}

fn find(connection: &Connection, object: &ObjectId) -> Result<Option<Signed>, DbError> {
    let row: Option<(i64, Vec<u8>, String, Option<String>)> = connection
        .prepare_cached(
            "SELECT id, digest, name, component FROM object WHERE full = ?1 AND state = 0",
        )
        .and_then(|mut statement| {
            statement
                .query_row([object.as_bytes().as_slice()], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
                })
                .optional()
        })
        .map_err(DbError::query("find a path"))?;
    row.map(|(id, digest, name, component)| {
        Ok(Signed {
            id,
            path: store_path(&digest, &name)?,
            component,
        })
    })
    .transpose()
}

fn load(connection: &Connection, signed: &Signed) -> Result<Signatures, DbError> {
    let read = |subject: i64| {
        connection
            .prepare_cached("SELECT key, bytes FROM signature WHERE object = ?1 AND subject = ?2")?
            .query_map([signed.id, subject], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<Vec<(String, [u8; 64])>, _>>()
    };
    let load = |subject| {
        let rows = read(subject).map_err(DbError::query("read signatures"))?;
        let path = signed.path.to_string();
        let mut signatures = SignatureSet::default();
        for (key, bytes) in rows {
            signatures.insert(signature(&path, &key, bytes)?);
        }
        Ok::<_, DbError>(signatures)
    };
    let of_component = load(COMPONENT)?;
    let json = signed
        .component
        .clone()
        .filter(|_| !of_component.is_empty());
    let condition = "realisation_signature.object = ?1 ORDER BY resolved, output, sandbox, built_at, duration_ms";
    Ok(Signatures {
        object: load(OBJECT)?,
        component: json.map(|json| SignedComponent {
            json,
            signatures: of_component,
        }),
        realisations: load_realisations(connection, condition, signed.id)?,
    })
}

/// Reads the signed realisations of a condition, which orders them by their facts.
fn load_realisations(
    connection: &Connection,
    condition: &'static str,
    key: impl rusqlite::ToSql,
) -> Result<Vec<SignedRealisation>, DbError> {
    let query = || DbError::query("read signatures of realisations");
    let mut statement = connection
        .prepare_cached(&format!("SELECT {REALISATION} WHERE {condition}"))
        .map_err(query())?;
    let rows = statement
        .query_map([key], read_realisation)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(query())?;
    let mut realisations: Vec<SignedRealisation> = Vec::new();
    for row in rows {
        let path = store_path(&row.digest, &row.name)?;
        let signature = signature(&path.to_string(), &row.key, row.bytes)?;
        let realisation = Realisation {
            resolved: ResolvedDigest::from_bytes(row.resolved),
            output: row.output,
            object: ObjectId::from_bytes(row.full),
            path,
            sandbox: row.sandbox,
            built_at: from_sql(row.built_at),
            duration_ms: from_sql(row.duration_ms),
        };
        match realisations.last_mut() {
            Some(last) if last.realisation == realisation => {
                last.signatures.insert(signature);
            }
            _ => {
                let mut signatures = SignatureSet::default();
                signatures.insert(signature);
                realisations.push(SignedRealisation {
                    realisation,
                    signatures,
                });
            }
        }
    }
    Ok(realisations)
}

struct RealisationRow {
    full: [u8; 32],
    digest: Vec<u8>,
    name: String,
    resolved: [u8; 32],
    output: String,
    sandbox: String,
    built_at: i64,
    duration_ms: i64,
    key: String,
    bytes: [u8; 64],
}

fn read_realisation(row: &Row<'_>) -> rusqlite::Result<RealisationRow> {
    Ok(RealisationRow {
        full: row.get(0)?,
        digest: row.get(1)?,
        name: row.get(2)?,
        resolved: row.get(3)?,
        output: row.get(4)?,
        sandbox: row.get(5)?,
        built_at: row.get(6)?,
        duration_ms: row.get(7)?,
        key: row.get(8)?,
        bytes: row.get(9)?,
    })
}

fn signature(row: &str, key: &str, bytes: [u8; 64]) -> Result<Signature, DbError> {
    let name = key.parse().map_err(|_| DbError::damaged(row, "key"))?;
    Ok(Signature::from_bytes(name, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        testing::{TempStore, add_tree},
        tree::MemoryNode,
    };

    #[test]
    fn signatures_go_with_their_object() {
        let store = TempStore::new();
        let [one, other] = ["one", "other"].map(|name| {
            let info = add_tree(&store, name, MemoryNode::file(name), &[]).unwrap();
            let signature = Signature::from_bytes("a".parse().unwrap(), [1; 64]);
            let signatures = SignatureSet::new([signature]).unwrap();
            let realisation = Realisation {
                resolved: ResolvedDigest::from_bytes([7; 32]),
                output: "out".into(),
                object: info.id,
                path: info.path.clone(),
                sandbox: "full".into(),
                built_at: 1,
                duration_ms: 2,
            };
            let realisation = SignedRealisation {
                realisation,
                signatures: signatures.clone(),
            };
            let all = Signatures {
                object: signatures,
                component: None,
                realisations: vec![realisation],
            };
            store.add_signatures(&[(info.id, all)]).unwrap();
            info
        });
        let database = Database::open(&store.root().join("var/db.sqlite")).unwrap();
        database
            .connection()
            .execute("DELETE FROM object WHERE full = ?1", [one.id.as_bytes()])
            .unwrap();
        let count = |table: &str| -> i64 {
            let sql = format!("SELECT count(*) FROM {table}");
            database
                .connection()
                .query_row(&sql, [], |row| row.get(0))
                .unwrap()
        };
        assert_eq!((count("signature"), count("realisation_signature")), (1, 1));
        assert!(store.find_signatures(&one.id).unwrap().is_empty());
        assert!(!store.find_signatures(&other.id).unwrap().is_empty());
    }
}
