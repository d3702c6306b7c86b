//! What it costs to make images and to send them, beside other tools and raw limits of the same run.
//!
//! `cargo bench -p tests --bench images` packs 400 MB of this machine's programs and libraries in 60 objects; with `PITH_TEST_FULL` also 2 GB in 300. `buildah`, `umoci`, `pigz` and `podman` are
//! used where they are installed. Nothing here fails on a slow machine; a regression shows as a ratio that moved.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints and may panic"
)]

use std::{
    cell::Cell,
    fs,
    os::fd::AsFd,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use pack::{
    Base, Format, Image, ImageName, ImageSpec, PackOptions,
    existing::ExistingImage,
    registry::{PushOptions, open_repository},
};
use store::{
    AddBatch, AddObject, AddSource, LocalStore, StorePath,
    registry::RegistryOptions,
    scratch_path,
    testing::{StoreDirectory, open},
};
use tempfile::TempDir;
use tests::{
    Random, machine_files,
    measure::{self, middle, peak_memory, report, shell, time},
    other_servers::Registry,
};

const ROUNDS: usize = 3;
/// As many threads as this machine has processors.
const HERE: &str = "-";
/// As many threads as a large machine has processors.
const MANY: &str = "64";
/// Bytes of the app that changes.
const APP_BYTES: usize = 5_000_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["--pack", store, path, compression, threads, output] => {
            one_pack(store, path, &options(compression, threads), output);
        }
        ["--pack-on", store, path, base, output] => one_pack_on(store, path, base, output),
        ["--push", store, path, compression, threads, reference] => {
            one_push(store, path, &options(compression, threads), reference);
        }
        // `cargo test` runs benchmarks too, to see that they start.
        ["--bench", ..] => {
            measure(60, 400_000_000);
            if tests::is_full() {
                measure(300, 2_000_000_000);
            }
            measure_layers();
        }
        ["layers", "--bench"] => measure_layers(),
        _ => {}
    }
}

/// How to pack with so many threads, or with those of this machine.
fn options(compression: &str, threads: &str) -> PackOptions {
    PackOptions {
        compression: compression.parse().unwrap(),
        threads: threads.parse().ok(),
        // The files are no programs of one platform.
        check_start: false,
        ..PackOptions::default()
    }
}

/// An image of everything that `path` refers to.
fn image(store: &LocalStore, path: &str, options: &PackOptions) -> Image<'static> {
    let spec = ImageSpec::new("app".parse().unwrap());
    Image::new(store, &[path.parse().unwrap()], &spec, options, &|_| ()).unwrap()
}

/// Packs in a process of its own, and prints what [`run_self`] reads: microseconds, bytes, memory.
fn one_pack(store: &str, path: &str, options: &PackOptions, output: &str) {
    let store = open(Path::new(store)).unwrap();
    let start = Instant::now();
    let image = image(&store, path, options);
    let written = image.write(Format::Archive, Path::new(output)).unwrap();
    let took = start.elapsed();
    println!(
        "{} {} {}",
        took.as_micros(),
        written.encoded_bytes,
        peak_memory()
    );
}

/// Packs on another image.
fn one_pack_on(store: &str, path: &str, base: &str, output: &str) {
    let store = open(Path::new(store)).unwrap();
    let start = Instant::now();
    let spec = ImageSpec::new("app".parse().unwrap());
    let base = ExistingImage::open(Path::new(base), None).unwrap();
    let base = Base::recall(&base, &spec.platform, &store).unwrap();
    let roots = [path.parse().unwrap()];
    let options = options("gzip", HERE);
    let image = Image::on_base(&store, &roots, &spec, &options, &|_| (), base).unwrap();
    let written = image.write(Format::Archive, Path::new(output)).unwrap();
    println!(
        "{} {} {}",
        start.elapsed().as_micros(),
        written.encoded_bytes,
        peak_memory()
    );
}

/// Pushes in a process of its own.
fn one_push(store: &str, path: &str, options: &PackOptions, reference: &str) {
    let store = open(Path::new(store)).unwrap();
    let start = Instant::now();
    let image = image(&store, path, options);
    let name: ImageName = reference.parse().unwrap();
    let repository = open_repository(&name, &RegistryOptions::default()).unwrap();
    let pushed = image
        .push_with(&[], &name, &repository, &PushOptions::default())
        .unwrap();
    let took = start.elapsed();
    println!(
        "{} {} {}",
        took.as_micros(),
        pushed.sent_bytes,
        peak_memory()
    );
}

/// What a process said.
#[derive(Clone, Copy)]
struct Outcome {
    took: Duration,
    bytes: u64,
    memory_bytes: u64,
}

fn run_self(arguments: &[&str]) -> Outcome {
    let numbers = measure::run_self(arguments);
    Outcome {
        took: Duration::from_micros(numbers[0]),
        bytes: numbers[1],
        memory_bytes: numbers[2],
    }
}

/// A store of many objects, and an app that refers to all of them.
struct Bench {
    place: TempDir,
    store: StoreDirectory,
    bytes: u64,
    objects: Vec<StorePath>,
    outputs: Cell<usize>,
}

impl Bench {
    fn new(objects: usize, bytes: u64) -> Self {
        let place = tempfile::tempdir().unwrap();
        let trees = place.path().join("trees");
        let bytes = machine_files(&trees, objects, bytes).unwrap();
        println!("{objects} objects, {:.0} MB", bytes as f64 / 1e6);
        let store = StoreDirectory::new();
        let opened = open(store.path()).unwrap();
        let added: Vec<StorePath> = (0..objects)
            .map(|number| add(&opened, &trees, &format!("part-{number}"), &[]))
            .collect();
        Self {
            place,
            store,
            bytes,
            objects: added,
            outputs: Cell::new(0),
        }
    }

    /// The app as it is after so many changes of one file.
    fn app(&self, version: u64) -> String {
        let mut random = Random::new(version);
        let parent = self.place.path().join(format!("app-{version}"));
        let app = parent.join("app");
        fs::create_dir_all(&app).unwrap();
        let changed: Vec<u8> = (0..APP_BYTES / 16)
            .flat_map(|_| random.next().to_le_bytes())
            .collect();
        fs::write(app.join("program"), changed).unwrap();
        let mut random = Random::new(u64::MAX);
        let same: Vec<u8> = (0..APP_BYTES / 16)
            .flat_map(|_| random.next().to_le_bytes())
            .collect();
        fs::write(app.join("data"), same).unwrap();
        let store = open(self.store.path()).unwrap();
        add(&store, &parent, "app", &self.objects).to_string()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    /// Packs to a place where nothing is, or once more to the last one.
    fn pack(&self, app: &str, compression: &str, anew: bool) -> Outcome {
        self.pack_by(HERE, app, compression, anew)
    }

    fn pack_by(&self, threads: &str, app: &str, compression: &str, anew: bool) -> Outcome {
        if anew {
            self.outputs.set(self.outputs.get() + 1);
            self.forget_layers();
        }
        let output = self.image();
        let output = output.to_str().unwrap();
        let store = self.store.path().to_str().unwrap();
        run_self(&["--pack", store, app, compression, threads, output])
    }

    /// Has the next image be made like the first one.
    fn forget_layers(&self) {
        let layers = self.store.path().join("var/layers");
        if layers.exists() {
            fs::remove_dir_all(layers).unwrap();
        }
    }

    /// Where the last image was packed to.
    fn image(&self) -> PathBuf {
        self.file(&format!("image-{}.tar", self.outputs.get()))
    }

    fn push(&self, app: &str, compression: &str, reference: &str) -> Outcome {
        self.push_by(HERE, app, compression, reference)
    }

    fn push_by(&self, threads: &str, app: &str, compression: &str, reference: &str) -> Outcome {
        let store = self.store.path().to_str().unwrap();
        run_self(&["--push", store, app, compression, threads, reference])
    }
}

fn add(store: &LocalStore, parent: &Path, name: &str, references: &[StorePath]) -> StorePath {
    let parent = fs::File::open(parent).unwrap();
    let source = AddSource::Entry {
        parent: parent.as_fd(),
        name: name.as_ref(),
    };
    let object = AddObject {
        scratch: Some(scratch_path(&name.parse().unwrap(), "out")),
        extra_references: references.to_vec(),
        ..AddObject::new(name.parse().unwrap(), source)
    };
    let batch = AddBatch {
        objects: vec![object],
        ..AddBatch::default()
    };
    store.add(batch).unwrap().pop().unwrap().path
}

fn measure(objects: usize, bytes: u64) {
    let bench = Bench::new(objects, bytes);
    let app = bench.app(0);
    let gzip = measure_pack(&bench, &app, "gzip", "pigz -6 -p2");
    measure_pack(&bench, &app, "zstd", "zstd -3 -T2");
    measure_again(&bench, &app, gzip);
    measure_on_base(&bench, &app);
    measure_peers(&bench, gzip);
    measure_push(&bench, &app);
    measure_load(&bench, &app);
}

fn measure_pack(bench: &Bench, app: &str, compression: &str, raw: &str) -> Duration {
    let outcomes: Vec<Outcome> = (0..ROUNDS)
        .map(|_| bench.pack(app, compression, true))
        .collect();
    let packed = middle(outcomes.iter().map(|outcome| outcome.took).collect());
    let memory = outcomes.iter().map(|outcome| outcome.memory_bytes).max();
    let trees = bench.file("trees");
    let tar = format!("tar -C {} -cf - .", trees.display());
    let program = raw.split(' ').next().unwrap_or(raw);
    let peer = is_there(program).then(|| {
        let output = bench.file("raw");
        let line = format!("{tar} | {raw} -c > {} && sync {0}", output.display());
        middle((0..ROUNDS).map(|_| time(|| shell(&line))).collect())
    });
    report(
        &format!("pack with {compression}, cold (goal 1.15 x)"),
        packed,
        &format!("tar | {raw}"),
        peer,
    );
    let many = bench.pack_by(MANY, app, compression, true);
    println!(
        "  {} MB of memory, {} MB on a machine of {MANY} processors (goal 100)",
        memory.unwrap_or_default() / 1_000_000,
        many.memory_bytes / 1_000_000
    );
    packed
}

fn measure_again(bench: &Bench, app: &str, cold: Duration) {
    bench.pack(app, "gzip", true);
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let outcome = bench.pack(app, "gzip", false);
        assert_eq!(outcome.bytes, 0, "nothing is made again");
        times.push(outcome.took);
    }
    report("pack again (goal 15 ms)", middle(times), "cold", Some(cold));
}

/// The app once more, on an image of the same files, whose entries are remembered.
fn measure_on_base(bench: &Bench, app: &str) {
    let (base, output) = (bench.image(), bench.file("on-base.tar"));
    let pack = || {
        let [store, base, output] = [bench.store.path(), &base, &output]
            .map(|path| path.to_str().expect("paths here are UTF-8"));
        run_self(&["--pack-on", store, app, base, output])
    };
    let first = pack();
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let outcome = pack();
        assert_eq!(outcome.bytes, 0, "nothing is made again");
        times.push(outcome.took);
    }
    report(
        "pack again on a base (goal 15 ms)",
        middle(times),
        "the first time",
        Some(first.took),
    );
    fs::remove_file(output).unwrap();
}

/// What others do with the same files; once each, since they take long.
fn measure_peers(bench: &Bench, gzip: Duration) {
    let trees = bench.file("trees");
    let layout = bench.file("umoci");
    let umoci = is_there("umoci").then(|| {
        let layout = layout.display();
        let rootless = if tests::is_root() { "" } else { "--rootless" };
        shell(&format!(
            "umoci init --layout {layout} && umoci new --image {layout}:x"
        ));
        let insert = format!(
            "umoci insert {rootless} --image {layout}:x {} /pith",
            trees.display()
        );
        time(|| shell(&insert))
    });
    report("pack with gzip, cold", gzip, "umoci insert", umoci);
    let buildah = is_there("buildah").then(|| {
        let root = bench.file("buildah");
        let storage = format!(
            "--storage-driver vfs --root {0}/root --runroot {0}/run",
            root.display()
        );
        let output = bench.file("buildah-image.tar");
        time(|| {
            shell(&format!(
                "set -e; c=$(buildah {storage} from scratch); buildah {storage} copy -q $c {} /pith; \
                 buildah {storage} commit -q $c image; buildah {storage} push -q image oci-archive:{}; \
                 buildah {storage} rm $c; buildah {storage} rmi image",
                trees.display(),
                output.display()
            ));
        })
    });
    report(
        "pack with gzip, cold (goal 0.2 x)",
        gzip,
        "buildah copy, commit and push",
        buildah,
    );
    if buildah.is_some() {
        let megabytes = |path: &Path| fs::metadata(path).unwrap().len() as f64 / 1e6;
        let theirs = megabytes(&bench.file("buildah-image.tar"));
        println!(
            "  {:.1} MB; buildah {theirs:.1} MB",
            megabytes(&bench.image())
        );
    }
}

/// To Debian's registry on this machine: everything, nothing, and what a change of one file takes.
fn measure_push(bench: &Bench, app: &str) {
    let Ok(registry) = Registry::start("") else {
        println!("push: not measured, there is no docker-registry");
        return;
    };
    let reference = format!("{}/app:1", registry.address);
    let first = bench.push(app, "gzip", &reference);
    let again = middle(
        (0..ROUNDS)
            .map(|_| bench.push(app, "gzip", &reference).took)
            .collect(),
    );
    report(
        "push again (goal 15 ms and a round trip)",
        again,
        "the first push",
        Some(first.took),
    );
    bench.forget_layers();
    let many = bench.push_by(MANY, app, "gzip", &format!("{}/many:1", registry.address));
    println!(
        "  {} MB of memory, {} MB on a machine of {MANY} processors (goal 100)",
        first.memory_bytes / 1_000_000,
        many.memory_bytes / 1_000_000
    );
    let mut times = Vec::new();
    let mut sent = 0;
    for version in 1..=ROUNDS as u64 {
        let changed = bench.app(version);
        let outcome = bench.push(&changed, "gzip", &reference);
        times.push(outcome.took);
        sent = sent.max(outcome.bytes);
    }
    report(
        "pack and push after a change of a file of an app of 5 MB (goal 150 ms)",
        middle(times),
        "the first push",
        Some(first.took),
    );
    println!(
        "  {:.2} MB sent, {:.2} x the app (goal 1.1)",
        sent as f64 / 1e6,
        sent as f64 / APP_BYTES as f64
    );
}

/// How long it takes until podman has an image by `--load`, of layers that were never made and that are remembered, beside other ways to the same layers: what these
/// take, podman takes for itself.
fn measure_load(bench: &Bench, app: &str) {
    if !is_there("podman") {
        return;
    }
    let root = bench.file("podman");
    let storage = format!("--root {0}/root --runroot {0}/run", root.display());
    // For whoever starts podman by its name.
    let bin = bench.file("bin");
    shell(&format!(
        "mkdir {0}; p=$(command -v podman); printf '#!/bin/sh\nexec %s {storage} \"$@\"\n' \"$p\" > {0}/podman; chmod +x {0}/podman",
        bin.display()
    ));
    let forget = || shell(&format!("podman {storage} rmi -a -f"));
    let podman = |what: &str| {
        // It takes the name of an image from the path of a layout, and not every path is one.
        let place = bench.place.path().display();
        let took = time(|| shell(&format!("cd {place} && podman {storage} {what}")));
        forget();
        took
    };
    let load = || {
        let line = format!(
            "PATH={}:$PATH PITH_ROOT={} PITH_CACHE= {} pack -q --no-check --load podman /pith/store/{app}",
            bin.display(),
            bench.store.path().display(),
            tests::binary().display(),
        );
        let took = time(|| shell(&line));
        forget();
        took
    };
    let megabytes = bench.bytes / 1_000_000;
    bench.forget_layers();
    let first = load();
    let again = middle((0..ROUNDS).map(|_| load()).collect());
    let what = format!("podman has {megabytes} MB by --load (goal 3 s)");
    report(&what, again, "the first time", Some(first));
    let archive = |compression: &str| {
        bench.pack(app, compression, true);
        podman(&format!("load -q < {}", bench.image().display()))
    };
    let gzip = archive("gzip");
    report(
        &what,
        again,
        "podman load of an archive in gzip",
        Some(gzip),
    );
    let plain = archive("none");
    report(&what, again, "podman load of an archive", Some(plain));
    let pulled = Registry::start("").ok().map(|registry| {
        let reference = format!("{}/app:1", registry.address);
        bench.push(app, "none", &reference);
        podman(&format!("pull -q --tls-verify=false {reference}"))
    });
    report(&what, again, "podman pull from Debian's registry", pulled);
    let layout = bench.file("layout");
    fs::create_dir(&layout).unwrap();
    let unpack = |archive: &Path| {
        let (archive, layout) = (archive.display(), layout.display());
        shell(&format!("tar -C {layout} -xf {archive}"));
    };
    unpack(&bench.image());
    let copied = podman("pull -q oci:layout");
    report(&what, again, "podman pull of a layout", Some(copied));
    let unpacked = time(|| unpack(&bench.image()));
    report(&what, again, "tar -x of the archive", Some(unpacked));
}

/// What layers cost podman by their number, with little in them. `cargo bench -p tests --bench images -- layers` measures that alone.
fn measure_layers() {
    let bench = Bench::new(60, 60_000_000);
    let app = bench.app(0);
    measure_load(&bench, &app);
}

fn is_there(program: &str) -> bool {
    Command::new("sh")
        .args(["-c", &format!("command -v {program}")])
        .output()
        .is_ok_and(|output| output.status.success())
}
