//! The files in which docker and podman keep who one is in which registry.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use store::cache::backend::Credentials;
use zeroize::Zeroizing;

#[derive(Deserialize)]
struct AuthFile {
    #[serde(default)]
    auths: BTreeMap<String, Auth>,
}

#[derive(Deserialize)]
struct Auth {
    auth: Option<String>,
}

/// Returns the login for a repository, `registry.example/name`: of the longest entry that it lies below. Programs that keep credentials are not started.
pub(super) fn find(text: &str, repository: &str) -> Option<Credentials> {
    let file: AuthFile = serde_json::from_str(text).ok()?;
    let found = file
        .auths
        .iter()
        .map(|(key, auth)| (place(key), auth))
        .filter(|(place, _)| {
            let rest = repository.strip_prefix(place);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
        .max_by_key(|(place, _)| place.len());
    let pair = STANDARD.decode(found?.1.auth.as_ref()?).ok()?;
    let pair = Zeroizing::new(String::from_utf8(pair).ok()?);
    let (user, password) = pair.split_once(':')?;
    Some(Credentials::Basic {
        user: user.to_owned(),
        password: Zeroizing::new(password.to_owned()),
    })
}

/// A key of the file without what only docker's own registry has: a scheme, and a version at the end.
fn place(key: &str) -> &str {
    let key = key.split_once("://").map_or(key, |(_, rest)| rest);
    let key = key.trim_end_matches('/');
    match key.strip_suffix("/v1").or_else(|| key.strip_suffix("/v2")) {
        Some("index.docker.io") => "docker.io",
        Some(place) => place,
        None => key,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_entry_counts_and_no_neighbour() {
        let text = serde_json::json!({ "auths": {
            "r.example:5000": { "auth": STANDARD.encode("a:1") },
            "r.example:5000/team": { "auth": STANDARD.encode("b:2:3") },
            "https://index.docker.io/v1/": { "auth": STANDARD.encode("d:4") },
            "empty.example": {},
            "bad.example": { "auth": "?" },
        }, "credsStore": "x" })
        .to_string();
        for (repository, expected) in [
            ("r.example:5000/x", Some(("a", "1"))),
            ("r.example:5000/team/x", Some(("b", "2:3"))),
            ("r.example:5000/teams", Some(("a", "1"))),
            ("docker.io/library/x", Some(("d", "4"))),
            ("r.example:50001/x", None),
            ("r.example/x", None),
            ("empty.example/x", None),
            ("bad.example/x", None),
        ] {
            let expected = expected.map(|(user, password)| Credentials::Basic {
                user: user.to_owned(),
                password: Zeroizing::new(password.to_owned()),
            });
            assert!(find(&text, repository) == expected, "{repository}");
        }
        assert!(find("{", "r.example:5000/x").is_none());
    }
}
