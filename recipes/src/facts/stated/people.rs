//! Persons and pages as package managers write them. Pure.

use store::facts::Maker;

/// The longest name or address that is taken.
const MAX_TEXT: usize = 300;
/// How many makers of one package are named.
const MAX_MAKERS: usize = 100;

/// Reads `Name <address> (page)`, of which each part may be missing; none where nothing of it is of its form.
pub(super) fn parse_person(text: &str) -> Option<Maker> {
    let (rest, url) = take_between(text, '(', ')');
    let (rest, email) = take_between(&rest, '<', '>');
    person(&rest, email.as_deref(), url.as_deref())
}

/// Puts together what is stated of one person.
pub(super) fn person(name: &str, email: Option<&str>, url: Option<&str>) -> Option<Maker> {
    let name = name.trim().trim_matches('"').trim();
    // A bare address stands where some want a name.
    let email = email.or(Some(name)).and_then(address);
    let url = url.and_then(web_page);
    let name = match (clean(name), &email, &url) {
        (Some(name), ..) => name,
        (None, Some(address), _) => address.clone(),
        (None, None, Some(page)) => page.clone(),
        (None, None, None) => return None,
    };
    Some(Maker { name, email, url })
}

/// Puts makers together: each once, in their order.
pub(super) fn each_once(makers: impl IntoIterator<Item = Maker>) -> Vec<Maker> {
    let mut found: Vec<Maker> = Vec::new();
    for maker in makers {
        if found.len() < MAX_MAKERS && !found.contains(&maker) {
            found.push(maker);
        }
    }
    found
}

/// Splits a list at its commas, but for those between quotes. RFC 5322, section 3.4.
pub(super) fn split_list(text: &str) -> Vec<&str> {
    let mut is_quoted = false;
    let parts = text.split(|c: char| {
        is_quoted ^= c == '"';
        c == ',' && !is_quoted
    });
    parts
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect()
}

/// Returns a page on the web, as it is written.
pub(super) fn web_page(text: &str) -> Option<String> {
    let text = text.trim();
    let rest = ["https://", "http://"]
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme))?;
    let has_host = rest
        .split('/')
        .next()
        .is_some_and(|host| host.contains('.'));
    let is_plain = !text
        .chars()
        .any(|c| c.is_whitespace() || c.is_control() || "<>\"".contains(c));
    (has_host && is_plain && text.len() <= MAX_TEXT).then(|| text.to_owned())
}

fn address(text: &str) -> Option<String> {
    let text = text.trim();
    let (local, host) = text.split_once('@')?;
    let is_plain = |part: &str| {
        !part.is_empty()
            && !part
                .chars()
                .any(|c| c.is_whitespace() || c.is_control() || "<>(),;:\"@".contains(c))
    };
    let is_address = is_plain(local) && is_plain(host) && host.contains('.');
    (is_address && text.len() <= MAX_TEXT).then(|| text.to_owned())
}

fn clean(name: &str) -> Option<String> {
    let is_plain =
        !name.is_empty() && name.len() <= MAX_TEXT && !name.chars().any(char::is_control);
    // Metadata that a template filled.
    (is_plain && !["UNKNOWN", "None"].contains(&name)).then(|| name.to_owned())
}

/// Takes out what stands between two brackets at the end of a text or before other brackets.
fn take_between(text: &str, open: char, close: char) -> (String, Option<String>) {
    let Some((before, rest)) = text.split_once(open) else {
        return (text.to_owned(), None);
    };
    match rest.split_once(close) {
        Some((inside, after)) => (format!("{before}{after}"), Some(inside.to_owned())),
        None => (before.to_owned(), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn persons_are_read_as_they_are_written() {
        for (text, name, email, url) in [
            (
                "Jane <jane@a.example> (https://jane.example)",
                "Jane",
                Some("jane@a.example"),
                Some("https://jane.example"),
            ),
            (
                "Jane (https://jane.example) <jane@a.example>",
                "Jane",
                Some("jane@a.example"),
                Some("https://jane.example"),
            ),
            ("Jane Doe", "Jane Doe", None, None),
            (
                "\"Doe, Jane\" <jane@a.example>",
                "Doe, Jane",
                Some("jane@a.example"),
                None,
            ),
            (
                "<jane@a.example>",
                "jane@a.example",
                Some("jane@a.example"),
                None,
            ),
            (
                "jane@a.example",
                "jane@a.example",
                Some("jane@a.example"),
                None,
            ),
            (
                "Jane <jane at a.example> (jane.example)",
                "Jane",
                None,
                None,
            ),
            ("Jane <", "Jane", None, None),
        ] {
            let maker = parse_person(text).unwrap();
            assert_eq!(
                (
                    maker.name.as_str(),
                    maker.email.as_deref(),
                    maker.url.as_deref()
                ),
                (name, email, url),
                "{text}"
            );
        }
        for text in ["", "UNKNOWN", "<>", "Ja\u{1b}ne"] {
            assert_eq!(parse_person(text), None, "{text}");
        }
    }

    #[test]
    fn commas_between_quotes_part_nothing() {
        let list = "\"Doe, Jane\" <jane@a.example>, b@b.example,";
        assert_eq!(
            split_list(list),
            ["\"Doe, Jane\" <jane@a.example>", "b@b.example"]
        );
    }

    #[test]
    fn pages_are_on_the_web() {
        assert!(web_page(" https://a.example/b ").is_some());
        for text in [
            "a.example",
            "git://a.example/b",
            "https://localhost",
            "https://a.example/ b",
            "javascript:alert(1)",
        ] {
            assert_eq!(web_page(text), None, "{text}");
        }
    }
}
