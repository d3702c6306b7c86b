//! Layers on one another. OCI image-spec 1.1, layer.md, "Whiteouts".

use std::collections::BTreeMap;

/// Deletes a file of a lower layer.
const WHITEOUT: &[u8] = b".wh.";
/// Deletes everything that lower layers have in a directory.
const OPAQUE: &[u8] = b".wh..wh..opq";

/// Files by their paths, which have neither slashes at their ends nor names that say nothing.
pub(crate) type Files<T> = BTreeMap<Vec<u8>, T>;

/// Puts a layer, in its own order, on what is below it.
///
/// What a layer deletes are files of lower layers, wherever in the layer that is said: its own stay.
pub(crate) fn put_on<T>(
    files: &mut Files<T>,
    layer: impl IntoIterator<Item = (Vec<u8>, T)>,
    is_directory: impl Fn(&T) -> bool,
) {
    let mut own = Vec::new();
    for (path, facts) in layer {
        let (directory, name) = split(&path);
        if name == OPAQUE {
            remove_below(files, directory);
        } else if let Some(deleted) = name.strip_prefix(WHITEOUT) {
            let deleted = join(directory, deleted);
            files.remove(&deleted);
            remove_below(files, &deleted);
        } else {
            own.push((path, facts));
        }
    }
    for (path, facts) in own {
        if !is_directory(&facts) {
            remove_below(files, &path);
        }
        files.insert(path, facts);
    }
}

fn remove_below<T>(files: &mut Files<T>, directory: &[u8]) {
    let start = join(directory, b"");
    let below: Vec<Vec<u8>> = files
        .range(start.clone()..)
        .take_while(|(path, _)| path.starts_with(&start))
        .map(|(path, _)| path.clone())
        .collect();
    for path in below {
        files.remove(&path);
    }
}

/// A path without what does not count in it.
pub(crate) fn clean(path: &[u8]) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = path.split(|byte| *byte == b'/').collect();
    parts.retain(|part| !part.is_empty() && *part != b".");
    parts.join(&b'/')
}

/// Returns the directory that a path is in, and its last name.
pub(crate) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (b"", path),
    }
}

/// Returns the path of a name in a directory.
pub(crate) fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    if directory.is_empty() {
        return name.to_vec();
    }
    [directory, b"/", name].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Entries with what distinguishes them; directories end in a slash.
    fn union(layers: &[&[(&str, u8)]]) -> Vec<String> {
        let mut files = Files::new();
        for layer in layers {
            let entries = layer.iter().map(|(path, mark)| {
                let facts = (path.ends_with('/'), *mark);
                (clean(path.as_bytes()), facts)
            });
            put_on(&mut files, entries, |(is_directory, _)| *is_directory);
        }
        let listed = files.iter();
        let listed =
            listed.map(|(path, (_, mark))| format!("{} {mark}", String::from_utf8_lossy(path)));
        listed.collect()
    }

    #[test]
    fn upper_layers_replace_and_delete() {
        let lower: &[_] = &[
            ("a/", 0),
            ("a/x", 1),
            ("a/y", 1),
            ("b/", 0),
            ("b/z", 1),
            ("c/", 0),
            ("c/d", 1),
            ("cc", 1),
        ];
        let upper: &[_] = &[
            ("./a/.wh.x", 0),
            ("a/y", 2),
            ("b/.wh..wh..opq", 0),
            ("b/new", 2),
            ("c", 0),
        ];
        let found = union(&[lower, upper]);
        assert_eq!(found, ["a 0", "a/y 2", "b 0", "b/new 2", "c 0", "cc 1"]);
    }

    #[test]
    fn a_layer_does_not_delete_what_it_has_itself() {
        let lower: &[_] = &[("d/", 0), ("d/old", 1), ("f", 1)];
        let upper: &[_] = &[
            ("d/", 0),
            ("d/new", 2),
            ("d/.wh..wh..opq", 0),
            ("f", 2),
            (".wh.f", 0),
        ];
        assert_eq!(union(&[lower, upper]), ["d 0", "d/new 2", "f 2"]);
    }

    #[test]
    fn everything_can_be_deleted_at_the_root() {
        let lower: &[_] = &[("a/", 0), ("a/b", 1), ("c", 1)];
        let upper: &[_] = &[(".wh..wh..opq", 0), ("only", 2)];
        assert_eq!(union(&[lower, upper]), ["only 2"]);
    }
}
