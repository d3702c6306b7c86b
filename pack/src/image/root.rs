//! The root of one image: the wishes and what the packages offer, put together.

use std::collections::{BTreeMap, BTreeSet};

use store::{PathInfo, STORE_DIR, StorePath};

use super::providers::Providers;
use super::sets::{RootSets, occupant};
use super::{ImageError, ImageSpec, Port};
use crate::{
    Base,
    attest::{AskedFile, SpdxSubject, to_spdx},
    base::{Accounts, EXTENDED},
    layer::StoredObject,
    rootfs::{
        GENERATED, GROUP_FILE, PASSWD_FILE, Provided, RootEntry, RootFsError, RootPath, RootSet,
        RootTree, USUAL_PATH, User, etc_files, find_programs, merged,
    },
};

/// Where the programs of an image are linked.
const PROGRAMS: &str = "bin";
/// The same in an image with packages of a distribution, where `/bin` is a link.
const MERGED_PROGRAMS: &str = "usr/bin";
/// The mode of `/tmp` and of volumes: everyone writes, nobody removes what others wrote.
const STICKY: u32 = 0o1777;
/// Who owns what the specification asks for.
const ASKED: &str = "the image's specification";

/// The generated part of an image.
pub(super) struct Root {
    pub(super) tree: RootTree,
    pub(super) entrypoint: Vec<String>,
    pub(super) env: BTreeMap<String, String>,
    pub(super) cmd: Vec<String>,
    pub(super) user: User,
    pub(super) ports: BTreeSet<Port>,
    pub(super) stop_signal: Option<String>,
    /// The bill of materials.
    pub(super) sbom: Vec<u8>,
}

/// What a root is made from: the requested packages in the order of the request, and the whole closure in ascending order.
pub(super) struct RootInputs<'a> {
    pub(super) spec: &'a ImageSpec,
    pub(super) requested: &'a [&'a StoredObject],
    pub(super) objects: &'a [&'a StoredObject],
    pub(super) infos: &'a [PathInfo],
    pub(super) sets: &'a RootSets,
    /// What the image lies on.
    pub(super) base: Option<&'a Base<'a>>,
    /// Which objects have certificates and time zones.
    pub(super) providers: &'a Providers,
}

impl RootInputs<'_> {
    pub(super) fn build(&self) -> Result<Root, ImageError> {
        let spec = self.spec;
        let mut tree = RootTree::default();
        for (path, file) in &spec.files {
            let mode = if file.executable { 0o755 } else { 0o644 };
            let contents = file.contents.clone();
            let entry = RootEntry::File { contents, mode };
            tree.insert(self.path(path)?, entry, ASKED)?;
        }
        let programs = self.programs()?;
        match &spec.links {
            Some(links) => self.add_links(&mut tree, links)?,
            None => self.add_programs(&mut tree, &programs)?,
        }
        let main = self.main_set();
        let mut env = spec.env.clone();
        for (name, value) in main.into_iter().flat_map(|set| &set.env) {
            env.entry(name.clone()).or_insert_with(|| value.clone());
        }
        check_variables(&env)?;
        env.entry("PATH".to_owned())
            .or_insert_with(|| self.search_path());
        for thing in [Provided::Certificates, Provided::TimeZones] {
            let path = RootPath::parse(thing.in_image())?;
            if tree.contains(&path) || self.is_there(&path) {
                continue;
            }
            let Some(provider) = self.provider(thing) else {
                continue;
            };
            let target = format!("{}/{}", provider.path.to_logical(), thing.in_package());
            tree.insert(path, link(&target), &owner(&provider.path))?;
            env.entry(thing.variable().to_owned())
                .or_insert_with(|| thing.in_image().to_owned());
        }

        self.add_directories(&mut tree)?;
        let sbom = self.bill()?;
        let sbom_path = format!("/usr/share/sbom/{}.spdx.json", spec.name.base_name());
        let user = spec
            .user
            .clone()
            .or_else(|| main?.user())
            .unwrap_or_default();
        let users: Vec<_> = self.sets.all().flat_map(|set| &set.users).collect();
        let groups: Vec<_> = self.sets.all().flat_map(|set| &set.groups).collect();
        let generated = etc_files(&user, &users, &groups)
            .into_iter()
            .map(|(path, text)| (path.to_owned(), text.into_bytes()))
            .chain([(sbom_path, sbom.clone())]);
        self.extend_accounts(&mut tree, &user)?;
        for (path, contents) in generated {
            let path = RootPath::parse(&path)?;
            if !tree.contains(&path) && occupant(self.objects, &path).is_none() {
                let mode = 0o644;
                tree.insert(path, RootEntry::File { contents, mode }, GENERATED)?;
            }
        }
        let entrypoint = match (&spec.entrypoint, main) {
            (Some(entrypoint), _) => entrypoint.clone(),
            (None, Some(set)) => set.entrypoint.clone(),
            (None, None) => self
                .main_program(&programs)
                .map(|program| vec![self.visible_path(&tree, program)])
                .unwrap_or_default(),
        };
        let mut root = Root {
            tree,
            entrypoint,
            env,
            cmd: spec.cmd.clone(),
            user,
            ports: spec.ports.clone(),
            stop_signal: spec.stop_signal.clone(),
            sbom,
        };
        root.take(main.filter(|_| spec.entrypoint.is_none()))?;
        Ok(root)
    }

    /// Whether a package of a distribution or the base has something at `path`.
    fn is_there(&self, path: &RootPath) -> bool {
        let in_base = |base: &Base<'_>| {
            let place = base.tree.resolve(path.as_bytes());
            place.is_some_and(|place| base.tree.get(&place).is_some())
        };
        self.base.is_some_and(in_base) || occupant(self.objects, path).is_some()
    }

    /// The bill of materials that lies in the image.
    fn bill(&self) -> Result<Vec<u8>, RootFsError> {
        let asked = self.spec.files.iter().map(|(path, file)| {
            Ok(AskedFile {
                path: self.path(path)?.to_string(),
                contents: &file.contents,
            })
        });
        Ok(to_spdx(&SpdxSubject {
            name: self.spec.name.base_name(),
            infos: self.infos,
            base: self.base,
            asked: &asked.collect::<Result<Vec<_>, RootFsError>>()?,
        }))
    }

    /// Adds the user to the base's accounts, which stay as they are otherwise.
    fn extend_accounts(&self, tree: &mut RootTree, user: &User) -> Result<(), RootFsError> {
        let Some(base) = self.base else {
            return Ok(());
        };
        let accounts = Accounts::of(&base.tree);
        let lists = [
            (PASSWD_FILE, accounts.passwd_with(user)),
            (GROUP_FILE, accounts.group_with(user)),
        ];
        for (path, contents) in lists {
            let path = RootPath::parse(&format!("/{path}"))?;
            if let Some(contents) = contents.filter(|_| !tree.contains(&path)) {
                let mode = 0o644;
                tree.insert(path, RootEntry::File { contents, mode }, EXTENDED)?;
            }
        }
        Ok(())
    }

    /// Returns the set whose program a container runs unless it is told otherwise.
    fn main_set(&self) -> Option<&RootSet> {
        self.sets.find(&self.requested.first()?.path)
    }

    /// Returns where something lies that the specification wants at `path`.
    fn path(&self, path: &str) -> Result<RootPath, RootFsError> {
        if self.sets.is_empty() {
            RootPath::parse(path)
        } else {
            RootPath::parse(&merged(path))
        }
    }

    fn search_path(&self) -> String {
        if self.sets.is_empty() {
            format!("/{PROGRAMS}")
        } else {
            USUAL_PATH.to_owned()
        }
    }

    /// The directory of programs; with a set, `/bin` is a link to it.
    fn programs_directory(&self) -> &'static str {
        if self.sets.is_empty() {
            PROGRAMS
        } else {
            MERGED_PROGRAMS
        }
    }

    /// Returns the programs of the requested packages.
    fn programs(&self) -> Result<Vec<Program<'_>>, RootFsError> {
        let mut programs = Vec::new();
        for object in self.requested {
            for (directory, name) in find_programs(&object.real)? {
                programs.push(Program {
                    package: &object.path,
                    directory,
                    name,
                });
            }
        }
        Ok(programs)
    }

    /// Returns the program that a container runs unless it is told otherwise: the first package's program of the package's name, or its only one.
    fn main_program<'p>(&self, programs: &'p [Program<'p>]) -> Option<&'p Program<'p>> {
        let package = &self.requested.first()?.path;
        let name = self
            .infos
            .iter()
            .find(|info| info.path == *package)
            .and_then(|info| info.component.as_ref())
            .map_or_else(|| package.name().as_str(), |component| &component.name);
        let mut own = programs.iter().filter(|program| program.package == package);
        let named = own.clone().find(|program| program.name == name.as_bytes());
        named.or_else(|| own.next().filter(|_| own.next().is_none()))
    }

    /// Returns the short link to a program where the image has one, else the program's place in the store.
    fn visible_path(&self, tree: &RootTree, program: &Program<'_>) -> String {
        let short = RootPath::join(self.programs_directory(), &program.name);
        if tree.contains(&short) {
            format!("/{PROGRAMS}/{}", String::from_utf8_lossy(&program.name))
        } else {
            program.target()
        }
    }

    /// Finds the package that has the thing: a requested one, else the only one of the closure.
    fn provider(&self, thing: Provided) -> Option<&StoredObject> {
        let requested = self.requested.iter().copied();
        requested
            .into_iter()
            .find(|object| self.providers.has(object, thing))
            .or_else(|| {
                let mut all = self
                    .objects
                    .iter()
                    .copied()
                    .filter(|object| self.providers.has(object, thing));
                all.next().filter(|_| all.next().is_none())
            })
    }

    fn add_links(
        &self,
        tree: &mut RootTree,
        links: &BTreeMap<String, String>,
    ) -> Result<(), RootFsError> {
        for (path, target) in links {
            if !self.is_reachable(target) {
                return Err(RootFsError::Dangling {
                    link: path.clone(),
                    target: target.clone(),
                });
            }
            tree.insert(self.path(path)?, link(target), ASKED)?;
        }
        Ok(())
    }

    /// Adds a link for each program. The same name in `bin` and `sbin` of one package goes to `bin`; in two packages it is an error.
    fn add_programs(
        &self,
        tree: &mut RootTree,
        programs: &[Program<'_>],
    ) -> Result<(), RootFsError> {
        let mut seen: BTreeMap<&[u8], &StorePath> = BTreeMap::new();
        for program in programs {
            if seen.get(program.name.as_slice()) == Some(&program.package) {
                continue;
            }
            seen.insert(&program.name, program.package);
            let path = RootPath::join(self.programs_directory(), &program.name);
            if let Some(first) = occupant(self.objects, &path) {
                return Err(RootFsError::Conflict {
                    path,
                    first: owner(&first.path),
                    second: owner(program.package),
                });
            }
            let target = program.target_bytes();
            tree.insert(path, RootEntry::Symlink { target }, &owner(program.package))?;
        }
        Ok(())
    }

    /// Returns whether a target outside the store, or a store path in the image.
    fn is_reachable(&self, target: &str) -> bool {
        let in_store = target
            .strip_prefix(STORE_DIR)
            .and_then(|rest| rest.strip_prefix('/'));
        let Some(rest) = in_store else {
            return !target.is_empty() && !target.contains('\0');
        };
        let name = rest.split('/').next().unwrap_or_default();
        name.parse::<StorePath>()
            .is_ok_and(|path| self.objects.iter().any(|object| object.path == path))
    }

    /// Adds `/tmp`, the volumes and the working directory.
    fn add_directories(&self, tree: &mut RootTree) -> Result<(), RootFsError> {
        let spec = self.spec;
        let sticky = RootEntry::Directory { mode: STICKY };
        tree.insert(RootPath::parse("/tmp")?, sticky.clone(), GENERATED)?;
        for volume in &spec.volumes {
            tree.insert(self.path(volume)?, sticky.clone(), ASKED)?;
        }
        for directory in self.sets.all().flat_map(|set| &set.writable) {
            let path = RootPath::parse(directory)?;
            if !tree.contains(&path) {
                tree.insert(path, sticky.clone(), GENERATED)?;
            }
        }
        let directory = spec.start_directory();
        if directory != "/" && !self.is_in_store(directory) {
            let path = RootPath::parse(directory)?;
            if !tree.contains(&path) {
                tree.insert(path, RootEntry::Directory { mode: 0o755 }, ASKED)?;
            }
        }
        Ok(())
    }

    fn is_in_store(&self, path: &str) -> bool {
        path.starts_with(STORE_DIR) && self.is_reachable(path)
    }
}

/// A program of a requested package.
struct Program<'a> {
    package: &'a StorePath,
    directory: &'static str,
    name: Vec<u8>,
}

impl Program<'_> {
    fn target_bytes(&self) -> Vec<u8> {
        let package = self.package.to_logical();
        [package.as_bytes(), self.directory.as_bytes(), &self.name].join(&b'/')
    }

    /// For a configuration, which is JSON: a name that is not UTF-8 cannot be in it.
    fn target(&self) -> String {
        String::from_utf8_lossy(&self.target_bytes()).into_owned()
    }
}

impl Root {
    /// Takes what a set wants to be run as, where the specification is silent.
    fn take(&mut self, set: Option<&RootSet>) -> Result<(), ImageError> {
        let Some(set) = set else {
            return Ok(());
        };
        if self.cmd.is_empty() {
            self.cmd.clone_from(&set.cmd);
        }
        if self.ports.is_empty() {
            let ports: Result<_, _> = set.ports.iter().map(|port| port.parse()).collect();
            self.ports = ports?;
        }
        if self.stop_signal.is_none() {
            self.stop_signal.clone_from(&set.stop_signal);
        }
        Ok(())
    }
}

fn link(target: &str) -> RootEntry {
    RootEntry::Symlink {
        target: target.into(),
    }
}

fn owner(path: &StorePath) -> String {
    format!("`{path}`")
}

fn check_variables(env: &BTreeMap<String, String>) -> Result<(), ImageError> {
    let bad = env.iter().find(|(name, value)| {
        name.is_empty() || name.contains(['=', '\0']) || value.contains('\0')
    });
    match bad {
        Some((name, _)) => Err(ImageError::Variable { name: name.clone() }),
        None => Ok(()),
    }
}
