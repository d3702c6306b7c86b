//! What goals are made of: the software itself, apart from the tools that make it. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Answer, Goal, Graph, Lookup, PlanError};
use crate::model::{Builder, ContentDigest, Derivation};
use store::StorePath;

/// Something that goals are made of or with.
#[derive(Clone, Debug)]
pub struct Material {
    /// What makes it.
    pub derivation: Arc<Derivation>,
    /// What it is for.
    pub role: MaterialRole,
}

/// What a material is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaterialRole {
    /// It is given to the builder of software: sources, libraries, and programs that recipes build.
    Software,
    /// It only is, or makes, a seed: the bootstrap binaries that builders run in.
    Toolchain,
}

/// Returns everything below goals, and the goals, inputs first.
pub fn materials(goals: &[Goal]) -> Result<Vec<Material>, PlanError> {
    let graph = Graph::new(goals)?;
    let mut is_software = vec![false; graph.len()];
    let roots = goals.iter().map(|goal| goal.derivation.id());
    for node in roots.filter_map(|id| graph.find(&id)) {
        mark(&mut is_software, node);
    }
    for (node, derivation) in graph.derivations().iter().enumerate().rev() {
        if is_software.get(node) != Some(&true) {
            continue;
        }
        let given = derivation
            .inputs()
            .iter()
            .chain(derivation.extra_references());
        // Listed sources are nothing that is built from, and so no node of their own.
        for input in given.filter_map(|input| graph.find(&input.derivation().id())) {
            mark(&mut is_software, input);
        }
    }
    let derivations = graph.derivations().iter().zip(is_software);
    Ok(derivations
        .map(|(derivation, is_software)| Material {
            derivation: Arc::clone(derivation),
            role: if is_software {
                MaterialRole::Software
            } else {
                MaterialRole::Toolchain
            },
        })
        .collect())
}

fn mark(marks: &mut [bool], node: usize) {
    if let Some(mark) = marks.get_mut(node) {
        *mark = true;
    }
}

/// Returns the files below goals that were fetched and are still in the store, by the digests that recipes name. Asks the store once for each.
pub fn find_fetched(
    lookup: &Lookup<'_>,
    graph: &Graph,
) -> Result<BTreeMap<ContentDigest, StorePath>, PlanError> {
    let mut found = BTreeMap::new();
    for (node, derivation) in graph.derivations().iter().enumerate() {
        let Builder::Fetch(fetch) = derivation.builder() else {
            continue;
        };
        if let Answer::Valid(outputs) = lookup.look(node)?
            && let Some(output) = outputs.into_iter().next()
        {
            found.insert(fetch.digest, output.path);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lang::{Collection, Evaluator};

    #[test]
    fn what_only_makes_a_seed_is_a_tool_and_what_a_builder_is_given_is_not() {
        let evaluator = Evaluator::new(Collection::embedded(), None);
        let package = evaluator.evaluate_package("hello").expect("it is there");
        let all = materials(&[Goal::new(package.derivation)]).expect("it can be planned");
        let role = |name: &str| {
            let mut named = all
                .iter()
                .filter(|one| one.derivation.name().as_str().starts_with(name));
            let first = named.next().expect("it is there").role;
            assert!(named.all(|one| one.role == first), "{name}");
            first
        };
        for software in ["hello", "glibc-2.36", "setup.sh", "libc6_"] {
            assert_eq!(role(software), MaterialRole::Software, "{software}");
        }
        for tool in ["seed", "gcc-12_", "make_", "bash_"] {
            assert_eq!(role(tool), MaterialRole::Toolchain, "{tool}");
        }
        let read = evaluator.collection().files_read();
        let read: Vec<&str> = read.iter().map(|file| file.path.as_str()).collect();
        for file in [
            "hello/recipe.star",
            "lib/autotools.star",
            "lib/setup.sh",
            "seed/debs.star",
        ] {
            assert!(read.contains(&file), "{file} in {read:?}");
        }
        assert!(!read.contains(&"nginx/recipe.star"));
    }
}
