//! What the language has, in one place: syntax, functions and bounds.

use std::sync::LazyLock;

use starlark::environment::{Globals, GlobalsBuilder, LibraryExtension, Module};
use starlark::eval::Evaluator;
use starlark::syntax::{AstModule, Dialect, DialectTypes};

use super::builtins;

/// The syntax of every recipe file: Starlark with top-level `for` and `if`, keyword-only parameters and f-strings.
///
/// What a file loads is not visible to those that load it.
pub(super) const DIALECT: Dialect = Dialect {
    enable_def: true,
    enable_lambda: true,
    enable_load: true,
    enable_keyword_only_arguments: true,
    enable_positional_only_arguments: false,
    enable_types: DialectTypes::Enable,
    enable_load_reexport: false,
    enable_top_level_stmt: true,
    enable_f_strings: true,
    ..Dialect::Standard
};

/// The functions and types beyond standard Starlark.
const EXTENSIONS: &[LibraryExtension] = &[
    LibraryExtension::StructType,
    LibraryExtension::SetType,
    LibraryExtension::Map,
    LibraryExtension::Filter,
    LibraryExtension::Partial,
    LibraryExtension::Print,
];

/// Everything that a recipe can name without loading it; made once for the process, in about two milliseconds.
pub(super) static GLOBALS: LazyLock<Globals> = LazyLock::new(|| {
    let standard = GlobalsBuilder::extended_by(EXTENSIONS).build();
    let mut builder = GlobalsBuilder::new();
    builder.frozen_heap().add_reference(standard.heap());
    for (name, value) in standard.iter() {
        builder.set(
            if name == "range" {
                UNBOUNDED_RANGE
            } else {
                name
            },
            value,
        );
    }
    builder
        .with(builtins::derivation::register)
        .with(builtins::fetch::register)
        .with(builtins::source::register)
        .with(builtins::debs::register)
        .with(builtins::debian::register)
        .with(builtins::package::register)
        .with(builtins::image::register)
        .with(builtins::json::register)
        .with(builtins::lock::register)
        .with(builtins::platform::register)
        .with(builtins::range::register)
        .with(builtins::read::register)
        .with(builtins::toml::register)
        .with(builtins::multiply::register)
        .build()
});

/// Starlark's own `range`, under a name that no recipe can write.
pub(super) const UNBOUNDED_RANGE: &str = "range*";

/// Makes what every evaluation needs, unless that is done: the functions, and the methods of the usual types.
///
/// It takes about three milliseconds, more than half of evaluating a package with its dependencies; worth calling on a
/// thread of its own at the start of a program that is going to evaluate something.
pub fn prepare() {
    /// Names a method of each type; the crate `starlark` makes all of a type's methods when one is first used.
    const USUAL: &str = "[\"\".join, [].append, {}.get, set().add]\n";
    let parsed = AstModule::parse("prepare", USUAL.to_owned(), &DIALECT);
    Module::with_temp_heap(|module| {
        let mut evaluator = Evaluator::new(&module);
        // What it evaluates to, or whether it does, is of no interest to anybody.
        drop(parsed.and_then(|ast| evaluator.eval_module(ast, &GLOBALS)));
    });
}

/// How much one evaluation may take before it is called endless.
///
/// They bound mistakes, and make hostile recipes fail early; memory is checked between steps, so that a
/// single step may go beyond its bound before it is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EvaluationLimits {
    /// Calls and loop rounds of one file.
    pub steps: u64,
    /// Bytes of one file's values.
    pub heap_bytes: usize,
    /// Calls inside calls.
    pub call_depth: usize,
    /// Files that need each other in a chain.
    pub file_depth: usize,
}

impl Default for EvaluationLimits {
    fn default() -> Self {
        Self {
            steps: 400_000,
            heap_bytes: 256 << 20,
            call_depth: 100,
            file_depth: 100,
        }
    }
}

/// The stack of the thread that evaluates; mapped, not used, until a deep value needs it.
///
/// Values are frozen recursively. With the bound on steps, no value is so deep that this does not hold it
/// (`tests/hostile.rs`; an unoptimised build takes up to 2 KiB for each level).
pub(super) const STACK_BYTES: usize = 512 << 20;

/// The stack where the system refuses a large one.
pub(super) const SMALL_STACK_BYTES: usize = 32 << 20;
