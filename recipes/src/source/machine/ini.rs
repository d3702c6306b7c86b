//! The `key = value` files of pip and npm, as far as one setting is looked for.

/// Returns the value of `key` in `section` (`None`: outside of any), without quotes; the last one wins.
pub(super) fn find(text: &str, section: Option<&str>, key: &str) -> Option<String> {
    let mut current: Option<&str> = None;
    let mut found = None;
    for line in text.lines().map(str::trim) {
        if line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            current = Some(name.trim());
        } else if current == section
            && let Some((name, value)) = line.split_once('=')
            && name.trim().replace('_', "-") == key
        {
            found = Some(value.trim().trim_matches('"').to_owned());
        }
    }
    found
}
