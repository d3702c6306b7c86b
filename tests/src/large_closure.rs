//! A closure of any size that is in no store.

use store::testing::TempStore;
use store::{Component, MemoryNode, PathInfo, Reference};

/// Makes up `count` store paths, each of which needs three others, and what each is by its number; ascending by path. The last one needs all, by and by.
///
/// # Panics
/// When no temporary store can be made.
#[must_use]
pub fn large_closure(count: usize, component: impl Fn(usize) -> Component) -> Vec<PathInfo> {
    let store = TempStore::new();
    let like = store
        .add_tree("like-1", MemoryNode::directory(), &[])
        .expect("an empty directory can be added");
    let mut infos: Vec<PathInfo> = Vec::with_capacity(count);
    for number in 0..count {
        let references = [1, 10, 100].into_iter().filter_map(|back| {
            let other = &infos[number.checked_sub(back)?];
            Some(Reference {
                path: other.path.clone(),
                id: other.id,
                file: "lib/library.so".to_owned(),
                offset: 1000,
            })
        });
        let mut references: Vec<Reference> = references.collect();
        references.sort_by(|a, b| a.path.cmp(&b.path));
        let path = format!("{number:040}-software-{number}");
        infos.push(PathInfo {
            path: path.parse().expect("a digest of digits and a name"),
            references,
            component: Some(component(number)),
            ..like.clone()
        });
    }
    infos
}
