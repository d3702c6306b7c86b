//! Breadth-first search through all states.

use std::{collections::HashSet, fmt::Debug, hash::Hash, rc::Rc};

/// Visits every state that can be reached. Returns how many there are, or the shortest way to one with a violation, in words.
pub(crate) fn explore<S: Eq + Hash + Debug>(
    start: S,
    steps: impl Fn(&S) -> Vec<(String, S)>,
    violation: impl Fn(&S) -> Option<String>,
) -> Result<usize, String> {
    let start = Rc::new(start);
    let mut seen: HashSet<Rc<S>> = HashSet::from([Rc::clone(&start)]);
    // Each state with the place of the one from which it was reached first.
    let mut visited: Vec<(Rc<S>, usize)> = vec![(start, 0)];
    let mut next = 0;
    while let Some((state, _)) = visited.get(next).cloned() {
        if let Some(violation) = violation(&state) {
            return Err(trace(&visited, next, &steps, &violation));
        }
        for (_, reached) in steps(&state) {
            let reached = Rc::new(reached);
            if seen.insert(Rc::clone(&reached)) {
                visited.push((reached, next));
            }
        }
        next += 1;
    }
    Ok(visited.len())
}

fn trace<S: Eq + Debug>(
    visited: &[(Rc<S>, usize)],
    last: usize,
    steps: &impl Fn(&S) -> Vec<(String, S)>,
    violation: &str,
) -> String {
    let mut lines = vec![format!("{violation}\n{:#?}", visited[last].0)];
    let mut place = last;
    while place != 0 {
        let (state, before) = &visited[place];
        let taken = steps(&visited[*before].0)
            .into_iter()
            .find(|(_, reached)| reached == &**state);
        lines.extend(taken.map(|(name, _)| name));
        place = *before;
    }
    lines.reverse();
    lines.join("\n")
}
