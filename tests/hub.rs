//! Exports from a hub, as a user meets them: a server on this machine that speaks the hub's paths, redirects and ranges.

#[path = "common/hub.rs"]
mod hub;

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use half::bf16;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde_json::json;
use tempfile::TempDir;

use hub::{COMMIT, Hub, Misbehaviour, REPOSITORY, Reply, Request, Server};

const TOKEN: &str = "hf_do_not_tell_anybody";

const VOCABULARY: usize = 2048;
const HIDDEN: usize = 512;
const LAYERS: usize = 3;

/// Shard and shape of a tensor by its name.
type Layout = Vec<(String, &'static str, Vec<usize>)>;

const FIRST: &str = "model-00001-of-00002.safetensors";
const SECOND: &str = "model-00002-of-00002.safetensors";

/// A sharded Llama checkpoint of some megabytes: the first layer's queries lie in another shard than the rest of it.
fn layout() -> Layout {
    let mut layout = vec![("model.embed_tokens.weight".to_owned(), FIRST, vec![VOCABULARY, HIDDEN])];
    for layer in 0..LAYERS {
        let shard = if layer == 0 { FIRST } else { SECOND };
        let mut add = |name: &str, shard, shape: &[usize]| {
            layout.push((format!("model.layers.{layer}.{name}.weight"), shard, shape.to_vec()));
        };
        add("input_layernorm", shard, &[HIDDEN]);
        add("self_attn.q_proj", SECOND, &[HIDDEN, HIDDEN]);
        add("self_attn.k_proj", shard, &[HIDDEN / 2, HIDDEN]);
        add("self_attn.v_proj", shard, &[HIDDEN / 2, HIDDEN]);
        add("mlp.up_proj", shard, &[4 * HIDDEN, HIDDEN]);
    }
    layout.push(("lm_head.weight".to_owned(), SECOND, vec![VOCABULARY, HIDDEN]));
    layout
}

/// Bytes of the tensors that the first layer's queries and keys need.
fn needed_bytes() -> usize {
    let needed = |name: &str| {
        let kept = ["embed_tokens", "layers.0.input_layernorm", "layers.0.self_attn.q", "layers.0.self_attn.k"];
        kept.iter().any(|kept| name.contains(kept))
    };
    let sizes =
        layout().into_iter().filter(|(name, ..)| needed(name)).map(|(_, _, shape)| shape.iter().product::<usize>());
    sizes.sum::<usize>() * size_of::<bf16>()
}

fn checkpoint() -> BTreeMap<String, Vec<u8>> {
    let mut state = 1u64;
    let mut number = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        bf16::from_f32(((state >> 40) as f32 / (1 << 23) as f32 - 1.0) / 8.0).to_le_bytes()
    };
    let layout = layout();
    let mut files = BTreeMap::new();
    for shard in [FIRST, SECOND] {
        let tensors = layout.iter().filter(|row| row.1 == shard);
        let tensors: Vec<_> = tensors
            .map(|(name, _, shape)| {
                let bytes: Vec<u8> = (0..shape.iter().product()).flat_map(|_| number()).collect();
                (name, shape, bytes)
            })
            .collect();
        let views = tensors
            .iter()
            .map(|(name, shape, bytes)| (name, TensorView::new(Dtype::BF16, shape.to_vec(), bytes).unwrap()));
        files.insert(shard.to_owned(), safetensors::serialize(views, None).unwrap());
    }
    let weight_map: HashMap<_, _> = layout.iter().map(|(name, shard, _)| (name.clone(), shard)).collect();
    let config = json!({
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": HIDDEN,
        "intermediate_size": 4 * HIDDEN,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "vocab_size": VOCABULARY,
        "max_position_embeddings": 4096,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "hidden_act": "silu",
        "torch_dtype": "bfloat16",
    });
    let tokenizer = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tiny/query-key/tokenizer.json");
    files.insert("config.json".to_owned(), config.to_string().into_bytes());
    files.insert("tokenizer.json".to_owned(), fs::read(tokenizer).unwrap());
    files.insert("model.safetensors.index.json".to_owned(), json!({"weight_map": weight_map}).to_string().into_bytes());
    files
}

/// A working directory, and the environment of a user with a token.
struct User {
    directory: TempDir,
}

impl User {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn command(&self, hub: &Hub, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_longattn"));
        for proxy in ["ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "http_proxy", "https_proxy"] {
            command.env_remove(proxy);
        }
        for variable in ["HF_HUB_CACHE", "HF_TOKEN_PATH", "HF_HUB_OFFLINE", "HF_TOKEN"] {
            command.env_remove(variable);
        }
        command.env("HF_ENDPOINT", hub.endpoint()).env("HF_HOME", self.path("home")).env("HF_TOKEN", TOKEN);
        command.current_dir(self.directory.path()).stdin(Stdio::null()).args(arguments.split_whitespace());
        command
    }

    fn run(&self, command: &mut Command) -> (Output, String) {
        let output = command.output().unwrap();
        let told = String::from_utf8(output.stderr.clone()).unwrap();
        self.assert_token_is_kept(&told);
        (output, told)
    }

    /// Exports the repository to `model`; it must succeed.
    fn export(&self, hub: &Hub) -> String {
        let (output, told) = self.run(&mut self.command(hub, &format!("export {REPOSITORY} -o model")));
        assert!(output.status.success(), "{told}");
        assert!(!self.path("model.download").exists());
        told
    }

    /// Exports the repository, which must fail and leave nothing that looks whole.
    fn fail(&self, hub: &Hub) -> String {
        let (output, told) = self.run(&mut self.command(hub, &format!("export {REPOSITORY} -o model")));
        assert!(!output.status.success(), "{told}");
        assert!(!self.path("model").exists());
        told
    }

    /// Neither a message nor any file says the token.
    fn assert_token_is_kept(&self, told: &str) {
        assert!(!told.contains(TOKEN) && !told.contains("signature=secret"), "{told}");
        for entry in walkdir::WalkDir::new(self.directory.path()) {
            let entry = entry.unwrap();
            if entry.file_type().is_file() {
                let bytes = fs::read(entry.path()).unwrap();
                let holds_token = bytes.windows(TOKEN.len()).any(|window| window == TOKEN.as_bytes());
                assert!(!holds_token, "{}", entry.path().display());
            }
        }
    }

    /// The package is the same as that of the checkpoint's directory.
    fn assert_package(&self) {
        for (name, bytes) in checkpoint() {
            fs::create_dir_all(self.path("checkpoint")).unwrap();
            fs::write(self.path("checkpoint").join(name), bytes).unwrap();
        }
        let expected = self.path("expected");
        longattn::export::export(&self.path("checkpoint"), &expected, &Default::default()).unwrap();
        for file in ["model.onnx.data", "tokenizer.json"] {
            assert!(
                fs::read(self.path("model").join(file)).unwrap() == fs::read(expected.join(file)).unwrap(),
                "{file}"
            );
        }
    }
}

#[test]
fn only_what_is_needed_is_fetched() {
    let (hub, user) = (Hub::new(checkpoint()), User::new());
    let told = user.export(&hub);
    assert!(told.contains("llama"), "{told}");
    user.assert_package();
    let (sent, needed) = (hub.bytes_sent(), needed_bytes());
    println!("{sent} bytes sent for {needed} needed");
    assert!(sent > needed && sent as f64 <= 1.01 * needed as f64, "{sent} bytes for {needed}");
}

#[test]
fn the_token_goes_to_the_hub_alone() {
    let (hub, user) = (Hub::new(checkpoint()), User::new());
    user.export(&hub);
    let requests = hub.requests();
    assert!(requests.iter().any(|request| request.server == Server::Content));
    for request in requests {
        let expected = (request.server == Server::Hub).then(|| format!("Bearer {TOKEN}"));
        assert_eq!(request.authorization, expected, "{request:?}");
    }
}

#[test]
fn tokens_also_come_from_the_usual_files() {
    let (hub, user) = (Hub::new(checkpoint()), User::new());
    // Not in the working directory, where no file may hold it.
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("token"), format!("{TOKEN}\n")).unwrap();
    fs::write(home.path().join("other"), "hf_other").unwrap();
    let arguments = format!("export {REPOSITORY} -o model --overwrite");
    let (output, told) = user.run(user.command(&hub, &arguments).env_remove("HF_TOKEN").env("HF_HOME", home.path()));
    assert!(output.status.success(), "{told}");
    assert_eq!(hub.requests()[0].authorization, Some(format!("Bearer {TOKEN}")));
    let before = hub.requests().len();
    let other = home.path().join("other");
    let (output, told) = user.run(user.command(&hub, &arguments).env_remove("HF_TOKEN").env("HF_TOKEN_PATH", other));
    assert!(output.status.success(), "{told}");
    assert_eq!(hub.requests()[before].authorization.as_deref(), Some("Bearer hf_other"));
    let (output, told) = user.run(user.command(&hub, &arguments).env("HF_TOKEN", "hf\u{7f}_not_told"));
    assert!(!output.status.success() && told.contains("HF_TOKEN") && !told.contains("not_told"), "{told}");
}

#[test]
fn one_revision_means_one_commit() {
    let (hub, user) = (Hub::new(checkpoint()), User::new());
    let (output, told) =
        user.run(&mut user.command(&hub, &format!("export hf://{REPOSITORY} --revision refs/pr/1 -o model")));
    assert!(output.status.success(), "{told}");
    let resolved: Vec<_> = hub.requests().into_iter().filter(|request| request.server == Server::Hub).collect();
    assert!(resolved[0].path.contains("/resolve/refs%2Fpr%2F1/"), "{:?}", resolved[0]);
    assert!(resolved[1..].iter().all(|request| request.path.contains(&format!("/resolve/{COMMIT}/"))));
    let (output, told) = user.run(&mut user.command(&hub, &format!("export {REPOSITORY} --revision none -o other")));
    assert!(!output.status.success() && told.contains("no revision \"none\"") && told.contains("--revision"), "{told}");
}

/// Lays the files of the checkpoint into the hub's cache, as the hub's own tools do, and says which.
fn fill_cache(user: &User, files: impl IntoIterator<Item = (String, Vec<u8>)>) {
    let cache = user.path("home/hub").join(format!("models--{}", REPOSITORY.replace('/', "--")));
    let snapshot = cache.join("snapshots").join(COMMIT);
    fs::create_dir_all(cache.join("blobs")).unwrap();
    fs::create_dir_all(cache.join("refs")).unwrap();
    fs::create_dir_all(&snapshot).unwrap();
    fs::write(cache.join("refs/main"), COMMIT).unwrap();
    for (name, bytes) in files {
        fs::write(cache.join("blobs").join(&name), bytes).unwrap();
        std::os::unix::fs::symlink(format!("../../blobs/{name}"), snapshot.join(&name)).unwrap();
    }
}

#[test]
fn files_in_the_cache_are_not_fetched() {
    let (hub, user) = (Hub::new(checkpoint()), User::new());
    fill_cache(&user, checkpoint().into_iter().filter(|(name, _)| name != SECOND));
    user.export(&hub);
    user.assert_package();
    assert!(hub.requests().iter().skip(1).all(|request| request.path.contains("safetensors")), "{:?}", hub.requests());
    assert!(hub.requests().iter().all(|request| !request.path.contains(FIRST)));
}

#[test]
fn nothing_is_asked_of_the_hub_when_offline() {
    let (hub, user) = (Hub::new(checkpoint()), User::new());
    let arguments = format!("export {REPOSITORY} -o model");
    let offline = || {
        let mut command = user.command(&hub, &arguments);
        command.env("HF_HUB_OFFLINE", "1");
        command
    };
    let (output, told) = user.run(&mut offline());
    assert!(!output.status.success() && told.contains("HF_HUB_OFFLINE"), "{told}");
    fill_cache(&user, checkpoint().into_iter().filter(|(name, _)| name != SECOND));
    let (output, told) = user.run(&mut offline());
    assert!(!output.status.success() && told.contains(SECOND) && told.contains("HF_HUB_OFFLINE"), "{told}");
    fill_cache(&user, checkpoint().into_iter().filter(|(name, _)| name == SECOND));
    let (output, told) = user.run(&mut offline());
    assert!(output.status.success(), "{told}");
    user.assert_package();
    assert!(hub.requests().is_empty());
}

/// What keeps an export waiting.
const BUSY: Reply = Reply::Status(500, "Retry-After: 60\r\n");

/// Whether a request is one for a part of a shard.
fn is_shard(request: &Request) -> bool {
    request.server == Server::Content && request.method == "GET"
}

#[test]
fn a_connection_that_breaks_off_is_gone_on_with() {
    let broken = |request: &Request| is_shard(request).then_some(Reply::BreakOff(300_000));
    let (hub, user) = (Hub::misbehaving(checkpoint(), broken), User::new());
    let told = user.export(&hub);
    assert!(told.contains("broke off") && told.contains("trying again"), "{told}");
    user.assert_package();
    let (sent, needed) = (hub.bytes_sent(), needed_bytes());
    // What came before a break is not fetched again.
    assert!(sent as f64 <= 1.02 * needed as f64, "{sent} bytes for {needed}");
}

#[test]
fn a_connection_that_brings_nothing_is_given_up() {
    let (hub, user) =
        (Hub::misbehaving(checkpoint(), |request| is_shard(request).then_some(Reply::BreakOff(0))), User::new());
    let told = user.fail(&hub);
    assert!(told.contains("broke off") && told.contains("4 attempts failed"), "{told}");
}

#[test]
fn a_killed_export_goes_on_where_it_stopped() {
    // The embedding comes halfway, and then the process is killed.
    let half = VOCABULARY * HIDDEN;
    let mut stalled = false;
    let stalling = move |request: &Request| {
        let is_embedding = is_shard(request) && request.range.as_ref().is_some_and(|range| range.len() > half);
        match is_embedding && !std::mem::replace(&mut stalled, is_embedding) {
            true => Some(Reply::BreakOff(half)),
            false if is_embedding || stalled => Some(BUSY),
            false => None,
        }
    };
    let (hub, user) = (Hub::misbehaving(checkpoint(), stalling), User::new());
    let mut command = user.command(&hub, &format!("export {REPOSITORY} -o model"));
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    let fetched = || -> u64 {
        let files = walkdir::WalkDir::new(user.path("model.download")).into_iter().flatten();
        files
            .filter(|entry| entry.path().extension().is_some())
            .map(|entry| entry.metadata().map_or(0, |file| file.len()))
            .max()
            .unwrap_or(0)
    };
    while fetched() < half as u64 {
        assert!(child.try_wait().unwrap().is_none(), "the export ended before it could be killed");
        std::thread::yield_now();
    }
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(9));
    assert!(!user.path("model").exists());
    hub.behave(|_| None);
    let before = hub.bytes_sent();
    user.export(&hub);
    user.assert_package();
    let sent = hub.bytes_sent() - before;
    assert!(sent < needed_bytes() - half + needed_bytes() / 50, "{sent} bytes for {} left", needed_bytes() - half);
}

#[test]
fn an_interrupted_export_ends_cleanly() {
    let (hub, user) = (Hub::misbehaving(checkpoint(), |request| is_shard(request).then_some(BUSY)), User::new());
    let mut command = user.command(&hub, &format!("export {REPOSITORY} -o model"));
    let child = command.stderr(Stdio::piped()).spawn().unwrap();
    while !hub.requests().iter().any(is_shard) {
        std::thread::yield_now();
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130), "{told}");
    assert!(told.contains("kept in model.download"), "{told}");
    let left: Vec<_> = fs::read_dir(user.directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["model.download"]);
}

#[test]
fn a_full_disk_is_told_and_loses_nothing() {
    let (hub, user) = (Hub::new(checkpoint()), User::new());
    let config = user.path("model.download").join(COMMIT).join("config.json");
    fs::create_dir_all(&config).unwrap();
    let part = config.join(format!("0-{}.part", checkpoint()["config.json"].len()));
    std::os::unix::fs::symlink("/dev/full", &part).unwrap();
    let told = user.fail(&hub);
    assert!(told.contains("No space left") && told.contains("free some space"), "{told}");
    fs::remove_file(part).unwrap();
    user.export(&hub);
    user.assert_package();
}

#[test]
fn two_exports_never_write_one_file() {
    let (hub, user) = (Hub::new(checkpoint()), User::new());
    let part = user.path("model.download").join(COMMIT).join("config.json");
    fs::create_dir_all(&part).unwrap();
    let size = checkpoint()["config.json"].len();
    let other = fs::File::create(part.join(format!("0-{size}.part"))).unwrap();
    other.lock().unwrap();
    assert!(user.fail(&hub).contains("another export"));
    drop(other);
    user.export(&hub);
    user.assert_package();
}

/// Exports from a hub that does with requests for shards what `reply` says, and expects a message that holds all of `says`.
fn assert_refused(misbehaviour: impl FnMut(&Request) -> Misbehaviour + Send + 'static, says: &[&str]) -> String {
    let (hub, user) = (Hub::misbehaving(checkpoint(), misbehaviour), User::new());
    let told = user.fail(&hub);
    says.iter().for_each(|says| assert!(told.contains(says), "{told:?} does not say {says:?}"));
    told
}

fn on_hub(request: &Request, reply: Reply) -> Misbehaviour {
    (request.server == Server::Hub).then_some(reply)
}

#[test]
fn a_server_that_ignores_ranges_is_taken_at_its_beginning_where_files_are_small() {
    let (hub, user) =
        (Hub::misbehaving(checkpoint(), |request| is_shard(request).then_some(Reply::Whole)), User::new());
    user.export(&hub);
    user.assert_package();
}

#[test]
fn a_large_file_is_not_fetched_whole() {
    let whole = |request: &Request| match request.method.as_str() {
        "HEAD" if request.path.ends_with(FIRST) => Some(Reply::Status(200, "X-Linked-Size: 100000000\r\n")),
        _ => is_shard(request).then_some(Reply::Whole),
    };
    assert_refused(whole, &["ignores ranges", "HF_ENDPOINT"]);
}

#[test]
fn a_server_that_lies_about_ranges_is_refused() {
    assert_refused(|request| is_shard(request).then_some(Reply::WrongRange), &["the server gave", FIRST]);
    for more in [-1, 1] {
        assert_refused(move |request| is_shard(request).then_some(Reply::WrongLength(more)), &["more or fewer bytes"]);
    }
}

#[test]
fn who_may_not_read_is_told_what_to_do() {
    let told = assert_refused(
        |request| on_hub(request, Reply::Status(403, "X-Error-Code: GatedRepo\r\n")),
        &["403", "licence"],
    );
    assert!(told.contains(&format!("/{REPOSITORY}")) && told.contains("HF_TOKEN"), "{told}");
    assert_refused(|request| on_hub(request, Reply::Status(401, "")), &["401", "HF_TOKEN is valid"]);

    let (hub, user) = (Hub::misbehaving(checkpoint(), |request| on_hub(request, Reply::Status(401, ""))), User::new());
    let (output, told) = user.run(user.command(&hub, &format!("export {REPOSITORY} -o model")).env_remove("HF_TOKEN"));
    assert!(!output.status.success() && told.contains("check the name") && told.contains("set HF_TOKEN"), "{told}");
}

#[test]
fn what_is_not_there_is_named() {
    let (hub, user) = (Hub::new(checkpoint()), User::new());
    let (output, told) = user.run(&mut user.command(&hub, "export no/such -o model"));
    assert!(!output.status.success() && told.contains("the hub has no no/such"), "{told}");
    let mut files = checkpoint();
    files.remove(SECOND);
    let told = User::new().fail(&Hub::new(files));
    assert!(told.contains(SECOND) && told.contains("missing"), "{told}");
    let mut files = checkpoint();
    files.remove("config.json");
    let user = User::new();
    let told = user.fail(&Hub::new(files));
    assert!(told.contains(&format!("{REPOSITORY}@main/config.json")), "{told}");
    // Nothing that could be gone on with.
    assert!(!user.path("model.download").exists());
}

#[test]
fn a_server_that_is_asked_too_often_is_waited_for() {
    let mut refusals = 2;
    let busy = move |request: &Request| {
        refusals -= i32::from(is_shard(request) && refusals > 0);
        (is_shard(request) && refusals > 0).then_some(Reply::Status(429, "Retry-After: 1\r\n"))
    };
    let (hub, user) = (Hub::misbehaving(checkpoint(), busy), User::new());
    let told = user.export(&hub);
    assert!(told.contains("429") && told.contains("trying again in 1 s"), "{told}");
    user.assert_package();
    assert_refused(|request| on_hub(request, Reply::Status(429, "Retry-After: 4000\r\n")), &["429", "4000 seconds"]);
    assert_refused(|request| on_hub(request, Reply::Status(429, "")), &["429", "4 attempts failed"]);
}

#[test]
fn a_server_that_fails_is_tried_again() {
    let mut failures = 3;
    let failing = move |_: &Request| {
        failures -= 1;
        (failures > 0).then_some(Reply::Status(503, "Retry-After: 0\r\n"))
    };
    let (hub, user) = (Hub::misbehaving(checkpoint(), failing), User::new());
    let told = user.export(&hub);
    assert!(told.contains("status 503"), "{told}");
    assert_refused(|_| Some(Reply::Status(500, "")), &["status 500", "4 attempts failed"]);
}

#[test]
fn redirects_that_lead_nowhere_are_refused() {
    let endless = |request: &Request| on_hub(request, Reply::Redirect("/tiny/llama/resolve/main/config.json"));
    assert_refused(endless, &["one redirect after the other"]);
    assert_refused(|request| on_hub(request, Reply::Redirect("ftp://elsewhere/file")), &["no web address"]);
    assert_refused(|request| on_hub(request, Reply::Redirect("nowhere")), &["no web address"]);
}

#[test]
fn a_server_that_is_no_hub_is_refused() {
    assert_refused(|request| on_hub(request, Reply::Status(200, "")), &["no hub", "HF_ENDPOINT"]);
    let user = User::new();
    let hub = Hub::new(checkpoint());
    let arguments = format!("export {REPOSITORY} -o model");
    for endpoint in ["hub.example", "https://me:password@hub.example"] {
        let (output, told) = user.run(user.command(&hub, &arguments).env("HF_ENDPOINT", endpoint));
        assert!(!output.status.success() && told.contains("HF_ENDPOINT must begin with"), "{told}");
        assert!(!told.contains("password@"), "{told}");
    }
    let (output, told) = user.run(user.command(&hub, &arguments).env("HF_ENDPOINT", "http://127.0.0.1:1"));
    assert!(!output.status.success() && told.contains("127.0.0.1 cannot be reached"), "{told}");
}

#[test]
fn an_existing_target_is_found_before_anything_is_asked() {
    let (hub, user) = (Hub::new(checkpoint()), User::new());
    fs::create_dir(user.path("model")).unwrap();
    let (output, told) = user.run(&mut user.command(&hub, &format!("export {REPOSITORY} -o model")));
    assert!(!output.status.success() && told.contains("--overwrite"), "{told}");
    assert!(hub.requests().is_empty());
}

#[test]
fn a_path_that_exists_is_no_name() {
    let (hub, user) = (Hub::new(checkpoint()), User::new());
    let directory = user.path(REPOSITORY);
    fs::create_dir_all(&directory).unwrap();
    for (name, bytes) in checkpoint() {
        fs::File::create(directory.join(name)).unwrap().write_all(&bytes).unwrap();
    }
    user.export(&hub);
    assert!(hub.requests().is_empty());
    let (output, told) = user.run(&mut user.command(&hub, "export no-such-file.gguf -o other"));
    assert!(!output.status.success(), "{told}");
    for way in ["GGUF", "directory", "owner/name"] {
        assert!(told.contains(way), "{told}");
    }
}

#[test]
fn quiet_exports_say_nothing() {
    let (hub, user) = (Hub::new(checkpoint()), User::new());
    let (output, told) = user.run(&mut user.command(&hub, &format!("export {REPOSITORY} -o model --quiet")));
    assert!(output.status.success() && told.is_empty() && output.stdout.is_empty(), "{told}");
}
