//! The files in which docker and podman keep who one is in which registry.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use store::cache::backend::Credentials;
use zeroize::Zeroizing;

/// Docker's own registry, as helpers have it.
const DOCKER_SERVER: &str = "https://index.docker.io/v1/";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AuthFile {
    #[serde(default)]
    auths: BTreeMap<String, Auth>,
    #[serde(default)]
    cred_helpers: BTreeMap<String, String>,
    creds_store: Option<String>,
}

#[derive(Deserialize)]
struct Auth {
    auth: Option<String>,
    /// What `docker login` gets of registries that are logged in to by way of another site. The password is empty then.
    #[serde(rename = "identitytoken")]
    identity: Option<String>,
}

/// How a file says who one is in a registry.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Login {
    /// In the file itself.
    Here(Credentials),
    /// By a program `docker-credential-<name>`, which is asked for a server.
    Helper {
        /// The last part of the program's name.
        name: String,
        /// What it is asked for.
        server: String,
    },
}

/// Returns the login for a repository, `registry.example/name`: by the program for its registry, else of the longest entry that it lies below, else by the program for
/// all registries.
pub(super) fn find(text: &str, repository: &str) -> Option<Login> {
    let file: AuthFile = serde_json::from_str(text).ok()?;
    let host = repository.split('/').next().unwrap_or_default();
    let helper = |name: &str| Login::Helper {
        name: name.to_owned(),
        server: match host {
            "docker.io" => DOCKER_SERVER.to_owned(),
            host => host.to_owned(),
        },
    };
    let mut helpers = file.cred_helpers.iter();
    if let Some((_, name)) = helpers.find(|(key, _)| place(key) == host) {
        // An empty name keeps the program for all registries away from this one.
        return (!name.is_empty()).then(|| helper(name));
    }
    if let Some(credentials) = find_here(&file, repository) {
        return Some(Login::Here(credentials));
    }
    file.creds_store
        .filter(|name| !name.is_empty())
        .map(|name| helper(&name))
}

fn find_here(file: &AuthFile, repository: &str) -> Option<Credentials> {
    let found = file
        .auths
        .iter()
        .map(|(key, auth)| (place(key), auth))
        .filter(|(place, _)| {
            let rest = repository.strip_prefix(place);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
        .max_by_key(|(place, _)| place.len());
    let (_, auth) = found?;
    if let Some(token) = auth.identity.as_ref().filter(|token| !token.is_empty()) {
        return Some(Credentials::Identity(Zeroizing::new(token.clone())));
    }
    let pair = STANDARD.decode(auth.auth.as_ref()?).ok()?;
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
        } })
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
            let expected = expected.map(|(user, password)| {
                Login::Here(Credentials::Basic {
                    user: user.to_owned(),
                    password: Zeroizing::new(password.to_owned()),
                })
            });
            assert!(find(&text, repository) == expected, "{repository}");
        }
        assert!(find("{", "r.example:5000/x").is_none());
    }

    #[test]
    fn an_identity_token_goes_before_a_password() {
        let text = serde_json::json!({ "auths": {
            "a.example": { "auth": STANDARD.encode("me:"), "identitytoken": "t" },
            "b.example": { "auth": STANDARD.encode("me:p"), "identitytoken": "" },
            "c.example": { "identitytoken": "u" },
        } })
        .to_string();
        let token = |text: &str| Credentials::Identity(Zeroizing::new(text.to_owned()));
        let password = Credentials::Basic {
            user: "me".to_owned(),
            password: Zeroizing::new("p".to_owned()),
        };
        for (repository, expected) in [
            ("a.example/x", token("t")),
            ("b.example/x", password),
            ("c.example/x", token("u")),
        ] {
            assert!(
                find(&text, repository) == Some(Login::Here(expected)),
                "{repository}"
            );
        }
    }

    #[test]
    fn the_helper_of_a_registry_comes_first_and_that_of_all_last() {
        let text = serde_json::json!({
            "auths": {
                "a.example": { "auth": STANDARD.encode("a:1") },
                "b.example": { "auth": STANDARD.encode("b:2") },
                "c.example": {},
            },
            "credHelpers": { "a.example": "one", "d.example": "", "https://index.docker.io/v1/": "hub" },
            "credsStore": "all",
        })
        .to_string();
        for (repository, expected) in [
            ("a.example/x", Some(("one", "a.example"))),
            ("c.example/x", Some(("all", "c.example"))),
            ("d.example/x", None),
            ("e.example:5000/x", Some(("all", "e.example:5000"))),
            ("docker.io/library/x", Some(("hub", DOCKER_SERVER))),
        ] {
            let expected = expected.map(|(name, server)| Login::Helper {
                name: name.to_owned(),
                server: server.to_owned(),
            });
            assert!(find(&text, repository) == expected, "{repository}");
        }
        assert!(matches!(find(&text, "b.example/x"), Some(Login::Here(_))));
    }
}
