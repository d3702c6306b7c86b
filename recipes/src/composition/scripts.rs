//! What maintainer scripts would add to a fresh system: alternatives, accounts, directories, links.

use std::collections::{BTreeMap, BTreeSet};

use super::shell::{Word, commands};

/// A link that several packages offer something for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Alternative {
    pub(super) link: String,
    pub(super) name: String,
    pub(super) path: String,
    pub(super) priority: i64,
}

/// All that the scripts of several packages say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ScriptFacts {
    pub(super) alternatives: Vec<Alternative>,
    /// System users with their homes.
    pub(super) users: BTreeMap<String, String>,
    pub(super) groups: BTreeSet<String>,
    /// Directories for data: below `/var` or `/run`.
    pub(super) directories: BTreeSet<String>,
    /// Link → target, both absolute: what scripts link or copy from packaged files.
    pub(super) links: BTreeMap<String, String>,
}

impl ScriptFacts {
    /// Adds what one `postinst` says.
    pub(super) fn read(&mut self, script: &str) {
        let mut making = Functions::default();
        commands(script, &mut |words| {
            let Some((Some(program), arguments)) = words
                .split_first()
                .map(|(first, rest)| (first.as_deref(), rest))
            else {
                return;
            };
            making.see(program, arguments);
            match program {
                "update-alternatives" => self.alternatives.extend(alternatives(arguments)),
                "adduser" | "useradd" => self.add_user(program, arguments),
                "addgroup" | "groupadd" => {
                    self.groups.extend(last_name(arguments));
                }
                "mkdir" | "install" => self.add_directories(program, arguments),
                "ln" | "cp" => self.add_link(arguments),
                other if making.names.contains(other) => {
                    self.directories.extend(
                        arguments
                            .iter()
                            .flatten()
                            .filter(|word| is_data_directory(word))
                            .cloned(),
                    );
                }
                _ => {}
            }
        });
    }

    fn add_user(&mut self, program: &str, arguments: &[Word]) {
        let has = |option: &str| arguments.iter().flatten().any(|word| word == option);
        if program == "adduser" && !has("--system")
            || program == "useradd" && !has("--system") && !has("-r")
        {
            return;
        }
        let Some(name) = last_name(arguments) else {
            return;
        };
        let option = |options: &[&str]| {
            let at = arguments
                .iter()
                .position(|word| word.as_deref().is_some_and(|word| options.contains(&word)))?;
            arguments.get(at + 1).cloned().flatten()
        };
        let home = option(&["--home", "--home-dir", "-d"]).filter(|home| home.starts_with('/'));
        if let Some(home) = home.as_ref().filter(|home| is_data_directory(home)) {
            self.directories.insert(home.clone());
        }
        if let Some(group) = option(&["--ingroup", "--gid", "-g"]).filter(|group| is_account(group))
        {
            self.groups.insert(group);
        }
        self.users
            .entry(name)
            .or_insert_with(|| home.unwrap_or_else(|| "/nonexistent".to_owned()));
    }

    fn add_directories(&mut self, program: &str, arguments: &[Word]) {
        let makes = program == "mkdir"
            || arguments
                .iter()
                .flatten()
                .any(|word| word.starts_with('-') && !word.starts_with("--") && word.contains('d'));
        if makes {
            let directories = arguments
                .iter()
                .flatten()
                .filter(|word| is_data_directory(word));
            self.directories
                .extend(directories.map(|word| word.replacen("/var/run/", "/run/", 1)));
        }
    }

    fn add_link(&mut self, arguments: &[Word]) {
        let plain: Vec<Option<&str>> = arguments
            .iter()
            .map(|word| word.as_deref())
            .filter(|word| word.is_none_or(|word| !word.starts_with('-')))
            .collect();
        if let [Some(target), Some(link)] = plain.as_slice()
            && is_plain(target)
            && is_plain(link)
        {
            self.links
                .entry((*link).to_owned())
                .or_insert_with(|| (*target).to_owned());
        }
    }
}

/// The functions of a script that make directories: `Setup_dir () { mkdir -p ${DIR}; … }`.
#[derive(Default)]
struct Functions {
    names: BTreeSet<String>,
    open: Option<String>,
}

impl Functions {
    fn see(&mut self, program: &str, arguments: &[Word]) {
        let opens = arguments
            .first()
            .is_some_and(|word| word.as_deref() == Some("()"));
        if let Some(name) = program.strip_suffix("()").or(opens.then_some(program)) {
            self.open = Some(name.to_owned());
        } else if program == "}" {
            self.open = None;
        } else if program == "mkdir" || program == "install" {
            self.names.extend(self.open.clone());
        }
    }
}

/// Reads `--install LINK NAME PATH PRIORITY [--slave LINK NAME PATH]…`.
fn alternatives(arguments: &[Word]) -> Vec<Alternative> {
    let mut found = Vec::new();
    let mut priority = None;
    for (at, word) in arguments.iter().enumerate() {
        let of = |offset: usize| arguments.get(at + offset).cloned().flatten();
        let (link, name, path) = (of(1), of(2), of(3));
        match word.as_deref() {
            Some("--install") => priority = of(4).and_then(|text| text.parse().ok()),
            Some("--slave") => {}
            _ => continue,
        }
        if let (Some(link), Some(name), Some(path), Some(priority)) = (link, name, path, priority)
            && is_plain(&link)
            && is_plain(&path)
            && !name.is_empty()
            && !name.contains('/')
            && !name.starts_with('.')
        {
            found.push(Alternative {
                link,
                name,
                path,
                priority,
            });
        }
    }
    found
}

/// The last argument, if it names an account. Options that take an argument stand before it.
fn last_name(arguments: &[Word]) -> Option<String> {
    let known: Vec<&Word> = arguments
        .iter()
        .take_while(|word| word.as_deref().is_none_or(|word| !word.starts_with('>')))
        .collect();
    let last = known.last()?.as_deref()?;
    is_account(last).then(|| last.to_owned())
}

/// Returns whether a text can name a user or group on Debian.
fn is_account(text: &str) -> bool {
    let first = text.bytes().next();
    text.len() <= 32
        && first.is_some_and(|b| b.is_ascii_lowercase() || b == b'_')
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-')
}

fn is_data_directory(path: &str) -> bool {
    let below = [
        "/var/lib/",
        "/var/log/",
        "/var/cache/",
        "/var/spool/",
        "/var/run/",
        "/run/",
        "/var/www/",
    ];
    let foreign = ["/var/lib/dpkg", "/run/systemd", "/var/lib/systemd"];
    is_plain(path)
        && below.iter().any(|prefix| path.starts_with(prefix))
        && !foreign.iter().any(|prefix| path.starts_with(prefix))
}

/// Returns whether a text is an absolute path of plain names.
fn is_plain(path: &str) -> bool {
    path.strip_prefix('/').is_some_and(|rest| {
        rest.split('/').all(|part| {
            !matches!(part, "" | "." | "..")
                && part.len() < 256
                && !part.contains(|c: char| c.is_control() || "*?[]<>$".contains(c))
        })
    }) && path.len() < 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(script: &str) -> ScriptFacts {
        let mut facts = ScriptFacts::default();
        facts.read(script);
        facts
    }

    #[test]
    fn alternatives_of_a_loop_are_found_as_openjdk_writes_them() {
        let facts = read(
            "basedir=/usr/lib/jvm/java-17-openjdk-amd64\npriority=1711\njre_tools='java keytool'\nfor i in $jre_tools; do\n update-alternatives \\\n --install \\\n /usr/bin/$i \\\n $i \\\n $basedir/bin/$i \\\n $priority \\\n $slave1 $slave2\ndone\n",
        );
        let found: Vec<_> = facts
            .alternatives
            .iter()
            .map(|one| (one.link.as_str(), one.path.as_str(), one.priority))
            .collect();
        assert_eq!(
            found,
            [
                (
                    "/usr/bin/java",
                    "/usr/lib/jvm/java-17-openjdk-amd64/bin/java",
                    1711
                ),
                (
                    "/usr/bin/keytool",
                    "/usr/lib/jvm/java-17-openjdk-amd64/bin/keytool",
                    1711
                ),
            ]
        );
    }

    #[test]
    fn slaves_have_the_priority_of_their_master() {
        let facts = read(
            "update-alternatives --install /usr/bin/awk awk /usr/bin/mawk 5 --slave /usr/share/man/awk.gz awk.gz /usr/share/man/mawk.gz",
        );
        assert_eq!(facts.alternatives.len(), 2);
        assert!(facts.alternatives.iter().all(|one| one.priority == 5));
    }

    #[test]
    fn accounts_and_directories_are_found_as_redis_and_postgresql_write_them() {
        let facts = read(
            "USER=\"redis\"\nSetup_dir () {\n DIR=\"${1}\"\n mkdir -p ${DIR}\n chown ${USER} ${DIR}\n}\nif [ \"$1\" = \"configure\" ]\nthen\n adduser \\\n --system \\\n --home /var/lib/redis \\\n --quiet \\\n --group \\\n ${USER} || true\n Setup_dir /var/log/redis 2750 adm\nfi\nadduser --system $quiet --home /var/lib/postgresql --group --gecos \"PostgreSQL administrator\" postgres\nadduser $quiet postgres ssl-cert\naddgroup --system $quiet extra\ninstall -d -m 2775 -o postgres /var/run/postgresql\n",
        );
        let users: Vec<_> = facts
            .users
            .iter()
            .map(|(name, home)| (name.as_str(), home.as_str()))
            .collect();
        assert_eq!(
            users,
            [
                ("postgres", "/var/lib/postgresql"),
                ("redis", "/var/lib/redis")
            ]
        );
        assert_eq!(facts.groups, BTreeSet::from(["extra".to_owned()]));
        let directories: Vec<_> = facts.directories.iter().map(String::as_str).collect();
        assert_eq!(
            directories,
            [
                "/run/postgresql",
                "/var/lib/postgresql",
                "/var/lib/redis",
                "/var/log/redis"
            ]
        );
    }

    #[test]
    fn links_of_packaged_files_are_found_as_nginx_writes_them() {
        let facts = read(
            "ln -s /etc/nginx/sites-available/default /etc/nginx/sites-enabled/default\ncp /usr/share/nginx/html/index.html /var/www/html/index.html\nln -s ../x /y\ncp $a /b\nmkdir -p /var/www/html",
        );
        let links: Vec<_> = facts
            .links
            .iter()
            .map(|(link, target)| (link.as_str(), target.as_str()))
            .collect();
        assert_eq!(
            links,
            [
                (
                    "/etc/nginx/sites-enabled/default",
                    "/etc/nginx/sites-available/default"
                ),
                (
                    "/var/www/html/index.html",
                    "/usr/share/nginx/html/index.html"
                ),
            ]
        );
        assert!(facts.directories.contains("/var/www/html"));
    }

    #[test]
    fn what_leads_elsewhere_is_not_taken() {
        let facts = read(
            "update-alternatives --install /usr/bin/../x x /usr/bin/y 1\nupdate-alternatives --install /usr/bin/x ../x /usr/bin/y 1\nmkdir /var/lib/../../etc\nln -s /a/../b /c\nadduser --system 'root:x'\nadduser --system Bad\n",
        );
        assert_eq!(facts, ScriptFacts::default());
    }
}
