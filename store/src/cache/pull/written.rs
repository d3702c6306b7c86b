//! A cache that is written file by file, for tests of those who read it.

use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error,
    fs::{self, File},
    path::Path,
    sync::Arc,
};

use crate::{
    LocalStore, PathInfo, StorePath,
    cache::{
        format::{CacheInfo, CacheName, Manifest, ObjectRecord, encode_closure},
        pack::{BlobSource, PackWriter},
    },
    trust::{SecretKey, Statement},
};

/// Writes the closures of objects into a directory, so that it is a cache; records and components are signed if there is a key.
pub fn write_cache(
    directory: &Path,
    store: &LocalStore,
    roots: &[&PathInfo],
    key: Option<&SecretKey>,
) -> Result<(), Box<dyn Error>> {
    let write = |name: &CacheName, bytes: &[u8]| -> Result<(), Box<dyn Error>> {
        let path = directory.join(name.to_string());
        fs::create_dir_all(path.parent().unwrap_or(directory))?;
        Ok(fs::write(path, bytes)?)
    };
    write(&CacheName::Info, &CacheInfo::default().encode()?)?;
    let paths: Vec<StorePath> = roots.iter().map(|info| info.path.clone()).collect();
    let infos = store.closure(&paths)?.infos().to_vec();
    let mut seen = BTreeSet::new();
    let mut blobs = Vec::new();
    for info in &infos {
        for (path, id, size) in store.files_of(&info.path)? {
            if size > 0 && seen.insert(id) {
                let reader = store
                    .open_in(&info.path, &path)
                    .ok_or("an object has this file")?;
                blobs.push(Ok(BlobSource::<File> { id, size, reader }));
            }
        }
    }
    let mut writer = PackWriter::new(blobs.into_iter(), Arc::default());
    while let Some(pack) = writer.next_pack()? {
        write(&CacheName::Pack(pack.digest), &pack.bytes)?;
    }
    let locations = writer.finish()?;
    let mut objects = BTreeMap::new();
    for info in &infos {
        let trees = store.load_contents(info).unwrap_or_default().bundle;
        let manifest = Manifest::new(&info.root, trees, &locations)?.encode()?;
        let record = record_of(info, key)?;
        write(&CacheName::Manifest(*info.path.digest()), &manifest)?;
        write(&CacheName::Object(*info.path.digest()), &record.encode()?)?;
        objects.insert(info.path.clone(), (record, manifest));
    }
    for root in &paths {
        let closure = store.closure(std::slice::from_ref(root))?;
        let paths = closure.paths();
        let all: Vec<_> = paths
            .filter_map(|path| objects.get(path).cloned())
            .collect();
        write(&CacheName::Closure(*root.digest()), &encode_closure(&all)?)?;
    }
    Ok(())
}

fn record_of(info: &PathInfo, key: Option<&SecretKey>) -> Result<ObjectRecord, Box<dyn Error>> {
    let mut record = ObjectRecord::from_path_info(info)?;
    let Some(key) = key else { return Ok(record) };
    record.signatures.insert(key.sign(&Statement::object(info)));
    if let Some(text) = record.component_text() {
        let signature = key.sign(&Statement::component(&info.id, text));
        record.component_signatures.insert(signature);
    }
    Ok(record)
}
