//! What a container of a package does unless it is told otherwise: a small table, found by name.
//!
//! A service is started as its unit does it, in the foreground, as the user that its unit names, with its logs on the
//! standard streams. Everything that is not in the table runs the program that is called as the package is.

use std::collections::BTreeMap;

/// How a package is run. `{n}` in texts is the number in the package's name.
pub(super) struct Service {
    /// The package; `*` stands for a number.
    package: &'static str,
    pub(super) entrypoint: &'static [&'static str],
    pub(super) cmd: &'static [&'static str],
    pub(super) user: Option<&'static str>,
    pub(super) ports: &'static [&'static str],
    pub(super) env: &'static [(&'static str, &'static str)],
    pub(super) stop_signal: Option<&'static str>,
    /// System users that a package outside of the image would have made, with their homes.
    pub(super) users: &'static [(&'static str, &'static str)],
    pub(super) directories: &'static [&'static str],
    /// Link → target.
    pub(super) links: &'static [(&'static str, &'static str)],
}

const NOTHING: Service = Service {
    package: "",
    entrypoint: &[],
    cmd: &[],
    user: None,
    ports: &[],
    env: &[],
    stop_signal: None,
    users: &[],
    directories: &[],
    links: &[],
};

const SERVICES: &[Service] = &[
    Service {
        package: "nginx",
        entrypoint: &["/usr/sbin/nginx"],
        cmd: &["-g", "daemon off;"],
        // The master opens port 80 and becomes www-data for the rest, as Debian configures it.
        user: Some("root"),
        ports: &["80/tcp"],
        stop_signal: Some("SIGQUIT"),
        links: &[
            ("/var/log/nginx/access.log", "/dev/stdout"),
            ("/var/log/nginx/error.log", "/dev/stderr"),
        ],
        ..NOTHING
    },
    Service {
        package: "redis-server",
        entrypoint: &["/usr/bin/redis-server"],
        // A container has only the ports that are published, so it listens to others than itself.
        cmd: &["--protected-mode", "no", "--dir", "/var/lib/redis"],
        user: Some("redis"),
        ports: &["6379/tcp"],
        ..NOTHING
    },
    Service {
        package: "postgresql-*",
        entrypoint: &[
            "/bin/sh",
            "-c",
            "test -s \"$PGDATA/PG_VERSION\" || initdb --locale=C --encoding=UTF8 --auth-local=peer --auth-host=scram-sha-256 || exit; exec postgres -c 'listen_addresses=*' \"$@\"",
            "postgres",
        ],
        user: Some("postgres"),
        ports: &["5432/tcp"],
        env: &[
            ("PGDATA", "/var/lib/postgresql/{n}/main"),
            (
                "PATH",
                "/usr/lib/postgresql/{n}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            ),
        ],
        stop_signal: Some("SIGINT"),
        users: &[("postgres", "/var/lib/postgresql")],
        directories: &[
            "/var/lib/postgresql",
            "/var/lib/postgresql/{n}",
            "/run/postgresql",
            "/var/log/postgresql",
        ],
        ..NOTHING
    },
    Service {
        package: "openjdk-*-jre-headless",
        entrypoint: &["/usr/bin/java"],
        ..NOTHING
    },
    Service {
        package: "nodejs",
        entrypoint: &["/usr/bin/node"],
        ..NOTHING
    },
];

/// Returns how a package is run, and the number in its name.
pub(super) fn find(name: &str) -> Option<(&'static Service, String)> {
    SERVICES.iter().find_map(|service| {
        let number = match service.package.split_once('*') {
            None => (service.package == name).then(String::new)?,
            Some((head, tail)) => {
                let number = name.strip_prefix(head)?.strip_suffix(tail)?;
                let digits = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
                digits.then(|| number.to_owned())?
            }
        };
        Some((service, number))
    })
}

/// Puts the number into texts.
pub(super) fn fill(texts: &[&str], number: &str) -> Vec<String> {
    texts
        .iter()
        .map(|text| text.replace("{n}", number))
        .collect()
}

/// Puts the number into pairs of texts.
pub(super) fn fill_pairs(pairs: &[(&str, &str)], number: &str) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(key, value)| (key.replace("{n}", number), value.replace("{n}", number)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_found_by_name_and_number() {
        let (service, number) = find("postgresql-15").unwrap();
        assert_eq!(
            fill(service.directories, &number)[1],
            "/var/lib/postgresql/15"
        );
        assert_eq!(
            fill_pairs(service.env, &number)["PGDATA"],
            "/var/lib/postgresql/15/main"
        );
        assert!(find("postgresql-15-cron").is_none());
        assert!(find("postgresql-").is_none());
        assert!(find("nginx").is_some());
    }
}
