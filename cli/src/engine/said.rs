//! What engines say. Pure.

use std::process::Output;

use super::{Engine, EngineError};

/// Returns the last line of a text that is not empty.
pub(super) fn last_line(text: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(text);
    let line = text.lines().map(str::trim).rfind(|line| !line.is_empty())?;
    Some(line.to_owned())
}

/// Returns the name in `Loaded image: NAME`, which podman has in the plural, with commas.
pub(super) fn loaded_name(said: &[u8]) -> Option<String> {
    let line = last_line(said)?;
    let (before, name) = line.split_once(": ")?;
    let name = name.split(',').next().unwrap_or(name).trim();
    (before.starts_with("Loaded image") && !name.is_empty()).then(|| name.to_owned())
}

/// Returns why a command of an engine failed: in its own words, if it has any.
pub(super) fn failure(engine: Engine, verb: &'static str, output: &Output) -> EngineError {
    match last_line(&output.stderr).or_else(|| last_line(&output.stdout)) {
        Some(said) => EngineError::Failed { engine, verb, said },
        None => EngineError::Silent {
            engine,
            verb,
            status: output.status,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_what_the_engine_says_that_it_has_loaded() {
        let name = |text: &str| loaded_name(text.as_bytes());
        for text in [
            "Loaded image: a/b:1\n",
            "Loaded image(s): a/b:1,c:2\n",
            "x\nLoaded image: a/b:1\n\n",
        ] {
            assert_eq!(name(text).as_deref(), Some("a/b:1"), "{text}");
        }
        for text in ["", "a/b:1\n", "Loaded image: \n"] {
            assert_eq!(name(text), None, "{text}");
        }
    }
}
