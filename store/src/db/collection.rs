//! What a garbage collection reads, and the rows that it takes away.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, params};
use serde::Deserialize;

use super::{
    DbError,
    connection::{Database, Write},
    objects::{DAMAGED, VALID, find, from_sql, store_path, to_sql},
    stored::ObjectState,
};
use crate::{
    facts::{FACTS_SUFFIX, FactsObject},
    id::{ObjectId, PathDigest, ResolvedDigest, StorePath},
    info::PathInfo,
};

/// An object as a collection sees it.
#[derive(Debug, Clone)]
pub(crate) struct GraphObject {
    /// Its row.
    pub(crate) id: i64,
    /// Its path.
    pub(crate) path: StorePath,
    /// The sum of the sizes of its files.
    pub(crate) size_bytes: u64,
}

/// References as pairs: the place of who refers and of what is referred to.
pub(crate) type References = Vec<(u32, u32)>;

/// An object that is not valid, and what must be for it to become so.
#[derive(Debug)]
pub(crate) struct Tombstone {
    /// Its row.
    pub(crate) id: i64,
    /// Its path.
    pub(crate) path: StorePath,
    /// How far it is from being valid.
    pub(crate) state: ObjectState,
}

impl Database {
    /// Reads all objects that are not being deleted, by row, and all that leads from one to another, as of one moment: references, and from an object to its facts.
    pub(crate) fn read_graph(&self) -> Result<(Vec<GraphObject>, References), DbError> {
        let moment = self
            .connection()
            .unchecked_transaction()
            .map_err(DbError::query("begin to read"))?;
        let objects = read_objects(&moment)?;
        let mut references = read_references(&moment, &objects)?;
        add_facts(&moment, &objects, &mut references)?;
        Ok((objects, references))
    }

    /// Calls `on_object` with the row and the milliseconds of every object that is known to have been built or fetched.
    pub(crate) fn read_durations(
        &self,
        mut on_object: impl FnMut(i64, u64),
    ) -> Result<(), DbError> {
        let query = || DbError::query("list realisations");
        let mut statement = self
            .connection()
            .prepare_cached(
                "SELECT object.id, max(duration_ms) FROM realisation JOIN object ON object.full = realisation.object
                 GROUP BY object.id",
            )
            .map_err(query())?;
        let mut rows = statement.query([]).map_err(query())?;
        while let Some(row) = rows.next().map_err(query())? {
            let read = || Ok((row.get(0)?, row.get(1)?));
            let (id, duration): (i64, i64) = read().map_err(query())?;
            on_object(id, from_sql(duration));
        }
        Ok(())
    }

    /// Returns the objects that are being deleted, what refers before what is referred to.
    pub(crate) fn tombstones(&self) -> Result<Vec<Tombstone>, DbError> {
        self.list_invalid(
            "SELECT id, digest, name, state FROM object WHERE state IN (1, 3) ORDER BY id DESC",
        )
    }

    /// Returns the objects that are being deleted or damaged, what is referred to before what refers.
    pub(crate) fn invalid_objects(&self) -> Result<Vec<Tombstone>, DbError> {
        self.list_invalid("SELECT id, digest, name, state FROM object WHERE state <> 0 ORDER BY id")
    }

    /// A row is made after those that it refers to, and they cannot go before it: so rows by age are references first.
    fn list_invalid(&self, sql: &'static str) -> Result<Vec<Tombstone>, DbError> {
        let read = || {
            self.connection()
                .prepare_cached(sql)?
                .query_map([], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
                })?
                .collect::<Result<Vec<(i64, Vec<u8>, String, i64)>, _>>()
        };
        let rows = read().map_err(DbError::query("list deleted objects"))?;
        rows.into_iter()
            .map(|(id, digest, name, state)| tombstone(id, &digest, &name, state))
            .collect()
    }

    /// Returns how far an object is from being valid; `None` if it is not known.
    pub(crate) fn find_state(&self, digest: &PathDigest) -> Result<Option<ObjectState>, DbError> {
        let state: Option<i64> = self
            .connection()
            .prepare_cached("SELECT state FROM object WHERE digest = ?1")
            .and_then(|mut statement| {
                statement
                    .query_row([digest.as_bytes().as_slice()], |row| row.get(0))
                    .optional()
            })
            .map_err(DbError::query("find a path"))?;
        Ok(state.map(ObjectState::of))
    }
}

impl Write<'_> {
    /// Takes validity from an object unless something refers to it that is not being deleted itself. Tells whether it did.
    ///
    /// A row may have been given to another object meanwhile, so the digest must fit as well.
    pub(crate) fn set_tombstone(&self, id: i64, digest: &PathDigest) -> Result<bool, DbError> {
        self.forget_rows();
        self.connection()
            .prepare_cached(
                "UPDATE object SET state = CASE state WHEN 0 THEN 1 ELSE 3 END
                 WHERE id = ?1 AND digest = ?2 AND state IN (0, 2) AND NOT EXISTS (
                     SELECT 1 FROM reference CROSS JOIN object AS other ON other.id = referrer
                     WHERE referenced = ?1 AND other.state IN (0, 2))",
            )
            .and_then(|mut statement| statement.execute(params![id, digest.as_bytes()]))
            .map(|count| count > 0)
            .map_err(DbError::query("delete a path"))
    }

    /// Returns whose facts lie in which objects: the digest of the object of facts and the rows of the objects that are not being deleted and name it.
    pub(crate) fn facts_owners(&self) -> Result<HashMap<PathDigest, Vec<i64>>, DbError> {
        let mut owners: HashMap<PathDigest, Vec<i64>> = HashMap::new();
        read_facts(self.connection(), |row, facts| {
            owners.entry(*facts.path.digest()).or_default().push(row);
        })?;
        Ok(owners)
    }

    /// Removes the row of an object that is being deleted, and its references. Tells whether it was, and had no referrer left.
    pub(crate) fn remove_tombstone(&self, id: i64, digest: &PathDigest) -> Result<bool, DbError> {
        self.connection()
            .prepare_cached(
                "DELETE FROM object WHERE id = ?1 AND digest = ?2 AND state IN (1, 3)
                 AND NOT EXISTS (SELECT 1 FROM reference WHERE referenced = ?1)",
            )
            .and_then(|mut statement| statement.execute(params![id, digest.as_bytes()]))
            .map(|count| count > 0)
            .map_err(DbError::query("delete a path"))
    }

    /// Returns an object, unless it is valid, with what is not valid of what it refers to, directly or not, in no order.
    pub(crate) fn invalid_closure(&self, digest: &PathDigest) -> Result<Vec<Tombstone>, DbError> {
        type Columns = (i64, Vec<u8>, String, i64);
        let read = || {
            self.connection()
                .prepare_cached(
                    "WITH RECURSIVE invalid (id) AS (
                         SELECT id FROM object WHERE digest = ?1 AND state <> 0
                         UNION
                         SELECT referenced FROM invalid CROSS JOIN reference ON referrer = invalid.id
                         CROSS JOIN object ON object.id = referenced WHERE object.state <> 0)
                     SELECT object.id, digest, name, state FROM invalid CROSS JOIN object ON object.id = invalid.id",
                )?
                .query_map([digest.as_bytes().as_slice()], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
                })?
                .collect::<Result<Vec<Columns>, _>>()
        };
        let rows = read().map_err(DbError::query("find deleted references"))?;
        rows.into_iter()
            .map(|(id, digest, name, state)| tombstone(id, &digest, &name, state))
            .collect()
    }

    /// Returns a valid object by its path, as this transaction sees it.
    pub(crate) fn find_by_path(&self, path: &StorePath) -> Result<Option<PathInfo>, DbError> {
        let info = find(self.connection(), "digest = ?1", path.digest().as_bytes())?;
        Ok(info.filter(|info| info.path == *path))
    }

    /// Makes an object valid whose bytes are in place, and whose references are valid or become so in this transaction.
    pub(crate) fn revive(&self, id: i64) -> Result<(), DbError> {
        self.set_state(id, VALID)
    }

    /// Records that an object has no good bytes, so that no collector touches what lies at its place.
    pub(crate) fn set_damaged(&self, id: i64) -> Result<(), DbError> {
        self.set_state(id, DAMAGED)
    }

    fn set_state(&self, id: i64, state: i64) -> Result<(), DbError> {
        self.forget_rows();
        self.connection()
            .prepare_cached("UPDATE object SET state = ?2 WHERE id = ?1")
            .and_then(|mut statement| statement.execute([id, state]))
            .map(|_| ())
            .map_err(DbError::query("revive a path"))
    }

    /// Forgets the realisations that ended before `before` in objects that are gone, and returns what names their records: what was built, the output,
    /// the object.
    pub(crate) fn remove_old_realisations(
        &self,
        before: u64,
    ) -> Result<Vec<(ResolvedDigest, String, ObjectId)>, DbError> {
        let delete = || {
            self.connection()
                .prepare_cached(
                    "DELETE FROM realisation WHERE built_at < ?1
                     AND NOT EXISTS (SELECT 1 FROM object WHERE object.full = realisation.object)
                     RETURNING resolved, output, object",
                )?
                .query_map([to_sql(before)], |row| {
                    Ok((
                        ResolvedDigest::from_bytes(row.get(0)?),
                        row.get(1)?,
                        ObjectId::from_bytes(row.get(2)?),
                    ))
                })?
                .collect::<Result<Vec<_>, _>>()
        };
        delete().map_err(DbError::query("forget realisations"))
    }
}

fn read_objects(connection: &Connection) -> Result<Vec<GraphObject>, DbError> {
    let query = || DbError::query("list objects");
    let mut objects = Vec::new();
    let mut statement = connection
        .prepare_cached(
            "SELECT id, digest, name, size_bytes FROM object WHERE state IN (0, 2) ORDER BY id",
        )
        .map_err(query())?;
    let mut rows = statement.query([]).map_err(query())?;
    while let Some(row) = rows.next().map_err(query())? {
        let read = || Ok((row.get(0)?, row.get_ref(1)?, row.get_ref(2)?, row.get(3)?));
        let (id, digest, name, size) = read().map_err(query())?;
        let digest = digest.as_blob().unwrap_or_default();
        objects.push(GraphObject {
            id,
            path: store_path(digest, name.as_str().unwrap_or_default())?,
            size_bytes: from_sql(size),
        });
    }
    Ok(objects)
}

fn read_references(
    connection: &Connection,
    objects: &[GraphObject],
) -> Result<References, DbError> {
    let query = || DbError::query("list references");
    let place = |row: i64| {
        let place = objects.binary_search_by_key(&row, |object| object.id);
        place.ok().and_then(|place| u32::try_from(place).ok())
    };
    let mut references = Vec::new();
    // The index has the two columns and nothing else, so it is the least to read. In its order, what is referred to comes many times in a row.
    let mut statement = connection
        .prepare_cached("SELECT referenced, referrer FROM reference INDEXED BY reference_reverse")
        .map_err(query())?;
    let mut rows = statement.query([]).map_err(query())?;
    let mut last = (0, None);
    while let Some(row) = rows.next().map_err(query())? {
        let read = || Ok((row.get(0)?, row.get(1)?));
        let (referenced, referrer) = read().map_err(query())?;
        if last.0 != referenced || last.1.is_none() {
            last = (referenced, place(referenced));
        }
        if let (Some(to), Some(from)) = (last.1, place(referrer)) {
            references.push((from, to));
        }
    }
    Ok(references)
}

/// Adds the ways from objects to their facts, which no byte of the object names.
fn add_facts(
    connection: &Connection,
    objects: &[GraphObject],
    references: &mut References,
) -> Result<(), DbError> {
    let place = |found: Option<usize>| found.and_then(|place| u32::try_from(place).ok());
    let mut named = Vec::new();
    read_facts(connection, |row, facts| named.push((row, facts.path)))?;
    if named.is_empty() {
        return Ok(());
    }
    let numbers: HashMap<&PathDigest, usize> = objects
        .iter()
        .enumerate()
        .filter(|(_, object)| is_facts(&object.path))
        .map(|(number, object)| (object.path.digest(), number))
        .collect();
    for (row, path) in named {
        let owner = objects.binary_search_by_key(&row, |object| object.id).ok();
        let facts = numbers.get(path.digest()).copied();
        if let (Some(owner), Some(facts)) = (place(owner), place(facts)) {
            references.push((owner, facts));
        }
    }
    Ok(())
}

/// Whether an object may be one of facts, by its name.
pub(crate) fn is_facts(path: &StorePath) -> bool {
    path.name().as_str().ends_with(FACTS_SUFFIX)
}

/// Calls `on_facts` for each object that is not being deleted and names an object of facts, with its row.
fn read_facts(
    connection: &Connection,
    mut on_facts: impl FnMut(i64, FactsObject),
) -> Result<(), DbError> {
    /// What matters here of a component.
    #[derive(Deserialize)]
    struct Facts {
        facts: Option<FactsObject>,
    }
    let query = || DbError::query("list objects of facts");
    let mut statement = connection
        .prepare_cached(
            "SELECT id, component FROM object WHERE state IN (0, 2) AND instr(component, '\"facts\":') > 0",
        )
        .map_err(query())?;
    let mut rows = statement.query([]).map_err(query())?;
    while let Some(row) = rows.next().map_err(query())? {
        let read = || Ok((row.get(0)?, row.get_ref(1)?));
        let (id, component) = read().map_err(query())?;
        // What cannot be read keeps nothing alive: nobody can find its facts either.
        let component = component.as_str().unwrap_or_default();
        if let Ok(Facts { facts: Some(facts) }) = serde_json::from_str(component) {
            on_facts(id, facts);
        }
    }
    Ok(())
}

fn tombstone(id: i64, digest: &[u8], name: &str, state: i64) -> Result<Tombstone, DbError> {
    Ok(Tombstone {
        id,
        path: store_path(digest, name)?,
        state: ObjectState::of(state),
    })
}
