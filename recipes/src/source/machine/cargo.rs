//! cargo's replacement for its registry, and what registries told cargo, as the mirror `crates`.
//!
//! The setting is `source.crates-io.replace-with = "NAME"` with `source.NAME.registry = "sparse+URL"` (The Cargo Book,
//! "Source Replacement"). The base is the registry's index; a path below it is what the index's `dl` answers by default,
//! `NAME/VERSION/download`. Where nothing is replaced, cargo keeps what the registry said when it was last asked: a file
//! `config.json` for each registry, whose `dl` says where crates are ("Registry Index", "Index Configuration").

pub(super) fn registry(text: &str) -> Option<String> {
    let config: toml::Table = toml::from_str(text).ok()?;
    let sources = config.get("source")?.as_table()?;
    let mut name = "crates-io";
    // A chain of replacements ends; one that does not is cargo's to complain about.
    for _ in 0..sources.len() {
        match sources
            .get(name)
            .and_then(|source| source.get("replace-with"))
            .and_then(toml::Value::as_str)
        {
            Some(next) => name = next,
            None => break,
        }
    }
    let url = sources.get(name)?.get("registry")?.as_str()?;
    let url = url.strip_prefix("sparse+").unwrap_or(url);
    (url.starts_with("https://") || url.starts_with("http://"))
        .then(|| url.trim_end_matches('/').to_owned())
}

/// Returns the base of a registry's crates from its `config.json`.
///
/// One that has them in another order than `NAME/VERSION/download` is passed over.
pub(super) fn downloads(text: &str) -> Option<String> {
    let config: serde_json::Value = serde_json::from_str(text).ok()?;
    let url = config.get("dl")?.as_str()?;
    let base = url
        .strip_suffix("/{crate}/{version}/download")
        .unwrap_or(url)
        .trim_end_matches('/');
    let is_web = base.starts_with("https://") || base.starts_with("http://");
    (is_web && !base.contains('{')).then(|| base.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_says_where_its_crates_are() {
        for (text, expected) in [
            (
                r#"{"dl":"https://c.example/crates/","api":""}"#,
                Some("https://c.example/crates"),
            ),
            (
                r#"{"dl":"https://c.example/{crate}/{version}/download"}"#,
                Some("https://c.example"),
            ),
            (r#"{"dl":"https://c.example/{prefix}/{crate}.tgz"}"#, None),
            (r#"{"dl":"file:///srv"}"#, None),
            ("no json", None),
        ] {
            assert_eq!(downloads(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn the_replacement_of_the_registry_is_followed() {
        let text = "[source.crates-io]\nreplace-with = 'a'\n[source.a]\nreplace-with = 'b'\n\
                    [source.b]\nregistry = 'sparse+https://c.example/index/'\n";
        assert_eq!(registry(text).as_deref(), Some("https://c.example/index"));
    }

    #[test]
    fn settings_without_a_replacement_name_no_registry() {
        for text in [
            "",
            "[net]\nretry = 2",
            "[source.crates-io]\nreplace-with = 'vendored'\n[source.vendored]\ndirectory = 'v'",
            "not toml",
        ] {
            assert_eq!(registry(text), None, "{text}");
        }
        assert_eq!(
            registry(
                "[source.crates-io]\nreplace-with = 'a'\n[source.a]\nreplace-with = 'crates-io'"
            ),
            None
        );
    }
}
