//! Names and texts of an app in the forms that a recipe needs.

use super::ProjectError;

/// Returns `text` as the name of an image and a package: lower-case letters and digits, with single `-` between.
pub(super) fn plain_name(text: &str) -> Option<String> {
    let mut name = String::new();
    for character in text.chars() {
        if character.is_ascii_alphanumeric() {
            name.push(character.to_ascii_lowercase());
        } else if !name.is_empty() && !name.ends_with('-') {
            name.push('-');
        }
    }
    let name = name.trim_end_matches('-');
    (!name.is_empty() && name.len() <= 100).then(|| name.to_owned())
}

/// Whether a program can be called so in `bin`.
pub(super) fn is_program_name(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "+-._".contains(c);
    !text.is_empty() && text.len() <= 100 && !text.starts_with('.') && text.chars().all(plain)
}

/// Whether `text` is a relative path without surprises.
pub(super) fn is_plain_path(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "+-._@".contains(c);
    text.split('/')
        .all(|part| !matches!(part, "" | "." | "..") && part.chars().all(plain))
}

/// Returns `text` as a Starlark string.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Parses TOML; an error names file and line.
pub(super) fn parse_toml(file: &str, text: &str) -> Result<toml::Table, ProjectError> {
    text.parse().map_err(|error: toml::de::Error| {
        let before = error
            .span()
            .and_then(|span| text.get(..span.start))
            .unwrap_or_default();
        ProjectError::Manifest {
            file: file.to_owned(),
            line: before.matches('\n').count() + 1,
            reason: error.message().replace('\n', " "),
        }
    })
}

/// The string at `path` of nested tables.
pub(super) fn string_at<'a>(table: &'a toml::Table, path: &[&str]) -> Option<&'a str> {
    let (last, above) = path.split_last()?;
    let mut table = table;
    for key in above {
        table = table.get(*key)?.as_table()?;
    }
    table.get(*last)?.as_str()
}

/// The table at `path` of nested tables.
pub(super) fn table_at<'a>(table: &'a toml::Table, path: &[&str]) -> Option<&'a toml::Table> {
    path.iter()
        .try_fold(table, |table, key| table.get(*key)?.as_table())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_made_of_what_a_registry_allows() {
        for (text, name) in [
            ("My_App", Some("my-app")),
            ("@scope/thing", Some("scope-thing")),
            ("--", None),
            ("a..b", Some("a-b")),
        ] {
            assert_eq!(plain_name(text).as_deref(), name, "{text}");
        }
    }

    #[test]
    fn a_mistake_in_a_manifest_has_its_line() {
        let error = parse_toml("Cargo.toml", "[package]\nname = \n").unwrap_err();
        assert!(error.to_string().starts_with("Cargo.toml:2: "), "{error}");
    }
}
