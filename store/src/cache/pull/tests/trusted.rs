//! What is believed, and what not.

use super::fixture::*;
use crate::{
    StorePath,
    cache::{
        format::{CacheName, PlanHint},
        pull::{Answer, CacheError, PullError, Puller},
    },
    testing::{TEST_TIME, TempStore},
    trust::{Reason, SignedRealisation},
};

#[test]
fn a_realisation_counts_only_with_the_signature_of_a_trusted_key() -> TestResult {
    let example = example()?;
    let here = TempStore::new();
    let (trusted, foreign) = (key(1), key(2));
    for (keys, is_believed) in [
        (vec![], false),
        (vec![&foreign], false),
        (vec![&trusted], true),
        (vec![&foreign, &trusted], true),
    ] {
        let cache = Cache::new()?;
        cache.realise(&example.program, &keys)?;
        let sources = [cache.source()?];
        let puller = Puller::new(&here, &sources, trusting(&[&trusted], 1), TEST_TIME);
        let found = puller.find_realisations(&RESOLVED)?;
        assert_eq!(!found.is_empty(), is_believed);
        let refused = puller
            .answers()
            .into_iter()
            .find_map(|one| match one.answer {
                Answer::Failed(CacheError::Untrusted { reasons, .. }) => Some(reasons),
                _ => None,
            });
        assert_eq!(refused.is_none(), is_believed);
        if keys.is_empty() {
            assert_eq!(refused, Some(vec![Reason::Unsigned]));
        }
    }
    Ok(())
}

#[test]
fn signatures_of_several_caches_count_together() -> TestResult {
    let example = example()?;
    let (one, two) = (key(1), key(2));
    let (first, second) = (Cache::new()?, Cache::new()?);
    first.realise(&example.program, &[&one])?;
    second.realise(&example.program, &[&two])?;
    let here = TempStore::new();
    let find = |sources: &[_]| {
        let puller = Puller::new(&here, sources, trusting(&[&one, &two], 2), TEST_TIME);
        puller.find_realisations(&RESOLVED)
    };
    assert!(find(&[first.source()?])?.is_empty());
    assert!(find(&[second.source()?])?.is_empty());
    let both = find(&[first.source()?, second.source()?])?;
    assert_eq!(both.len(), 1);
    assert_eq!(both[0].realisation, realisation(&example.program));
    Ok(())
}

#[test]
fn what_is_believed_is_recorded_with_its_object() -> TestResult {
    let example = example()?;
    let key = key(1);
    let cache = Cache::of(&example.store, &[&example.program])?;
    cache.realise(&example.program, &[&key])?;
    let here = TempStore::new();
    let sources = [cache.source()?];
    let puller = Puller::new(&here, &sources, trusting(&[&key], 1), TEST_TIME);
    let found = puller.find_realisations(&RESOLVED)?;
    assert!(here.find_realisations(&RESOLVED)?.is_empty());
    let wanted = [(
        found[0].realisation.path.clone(),
        found[0].realisation.object,
    )];
    pull_by(&puller, &here, &wanted)?;
    assert_eq!(
        here.find_realisations(&RESOLVED)?,
        [realisation(&example.program)]
    );
    assert_eq!(here.find_realisation_signatures(&RESOLVED)?.len(), 1);
    Ok(())
}

#[test]
fn a_plan_is_judged_entry_by_entry() -> TestResult {
    let example = example()?;
    let (trusted, foreign) = (key(1), key(2));
    let plan = crate::PlanDigest::from_bytes([3; 32]);
    let cache = Cache::new()?;
    let entries = vec![
        SignedRealisation::sign(realisation(&example.library), &foreign),
        SignedRealisation::sign(
            crate::Realisation {
                resolved: crate::ResolvedDigest::from_bytes([8; 32]),
                ..realisation(&example.program)
            },
            &trusted,
        ),
    ];
    cache.write(
        &CacheName::PlanHint(plan),
        &PlanHint::new(plan, entries)?.encode()?,
    )?;
    let here = TempStore::new();
    let sources = [cache.source()?];
    let puller = Puller::new(&here, &sources, trusting(&[&trusted], 1), TEST_TIME);
    let found = puller.find_plan(&plan)?;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].realisation.path, example.program.path);
    assert_eq!(source_requests(&sources), 2);
    Ok(())
}

fn source_requests(sources: &[std::sync::Arc<crate::cache::source::Source>]) -> u64 {
    sources
        .iter()
        .map(|source| source.statistics().requests)
        .sum()
}

#[test]
fn a_component_is_kept_only_if_it_is_signed() -> TestResult {
    let example = example()?;
    let key = key(1);
    for (signer, is_kept) in [(None, false), (Some(&key), true)] {
        let cache = Cache::new()?;
        cache.publish(&example.store, &[&example.program], signer)?;
        let here = TempStore::new();
        let sources = [cache.source()?];
        let puller = Puller::new(&here, &sources, trusting(&[&key], 1), TEST_TIME);
        let wanted = [(example.program.path.clone(), example.program.id)];
        let pulled = pull_by(&puller, &here, &wanted)?;
        let info = here.path_info(&example.program.path)?.ok_or("valid")?;
        assert_eq!(info.component.is_some(), is_kept);
        let without: Vec<StorePath> = pulled
            .without_component
            .iter()
            .map(|one| one.path.clone())
            .collect();
        assert_eq!(without.is_empty(), is_kept);
        // Signatures are remembered, whoever made them.
        assert_eq!(here.find_signatures(&info.id)?.is_empty(), signer.is_none());
    }
    Ok(())
}

#[test]
fn a_path_that_is_not_of_the_id_is_refused_before_anybody_is_asked() -> TestResult {
    let example = example()?;
    let cache = Cache::of(&example.store, &[&example.program])?;
    let source = cache.source()?;
    let here = TempStore::new();
    let sources = [source.clone()];
    let puller = Puller::new(&here, &sources, trusting(&[], 1), TEST_TIME);
    let wanted = [(example.program.path.clone(), example.library.id)];
    assert!(matches!(
        pull_by(&puller, &here, &wanted),
        Err(PullError::Name { .. })
    ));
    assert_eq!(source.statistics().requests, 0);
    Ok(())
}
