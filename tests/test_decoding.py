"""Decoding against transformers' own: the same greedy text, the same filters; draws that depend on their seed alone."""

import runpy
from pathlib import Path

import pytest
import torch
from transformers import LogitsProcessorList, TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from labkit import decoding
from labkit.decoding import next_token_distribution, next_token_logits, render
from labkit.errors import LabkitError
from labkit.kvcache import CHUNK, KeyValues, compute_prefix, shared_length, shared_prefix_attention
from labkit.models import load_model
from labkit.sampling import draw, keep_top_k, keep_top_p, probabilities

STANDIN = runpy.run_path(str(Path(__file__).with_name("standin.py")))
tiny_model_dir = STANDIN["tiny_model_dir"]

SCHEMA = "players(id, name, salary TEXT, height TEXT); teams(id, city, coach); games(home_id, away_id, score). " * 6
QUESTIONS = [
    "How many players?",
    "What is the average salary of the centres that play for a team whose city begins with B, in 2024?",
    "Which city?",
    "List all coaches whose team won more than 40 games, and order them by name.",
    "x",
    "Höhe von Šarūnas 李? ' \" ; --",
    "How many players?",
]


def talk(question, schema=SCHEMA):
    return [{"role": "system", "content": f"Tables: {schema}"}, {"role": "user", "content": question}]


CONVERSATIONS = [talk(question) for question in QUESTIONS]


@pytest.fixture(scope="module")
def tiny(tiny_model_dir):
    torch.set_num_threads(1)
    return load_model(tiny_model_dir, device="cpu", dtype="float32")


def generate(model, messages, new_tokens):
    """What transformers itself answers, one conversation at a time."""
    inputs = model.tokenizer(render(model.tokenizer, messages), return_tensors="pt", add_special_tokens=False)
    kept = {"input_ids": inputs.input_ids, "attention_mask": inputs.attention_mask}
    output = model.network.generate(**kept, max_new_tokens=new_tokens, do_sample=False)
    return model.tokenizer.decode(output[0, inputs.input_ids.shape[1] :], skip_special_tokens=True)


# --- filters


@pytest.mark.parametrize("temperature", [0.2, 1.0, 3.0])
@pytest.mark.parametrize("top_k", [0, 1, 7, 5000])
@pytest.mark.parametrize("top_p", [1.0, 0.9, 0.3, 1e-6])
def test_filters_are_those_of_transformers(temperature, top_k, top_p):
    logits = 4 * torch.randn(5, 1000, generator=torch.Generator().manual_seed(3))
    warpers = LogitsProcessorList([TemperatureLogitsWarper(temperature)])
    if top_k:
        warpers.append(TopKLogitsWarper(top_k))
    if top_p < 1:
        warpers.append(TopPLogitsWarper(top_p))
    expected = warpers(None, logits.clone()).softmax(dim=-1)
    ours = probabilities(logits, temperature, top_k, top_p)
    assert torch.equal(ours > 0, expected > 0)
    torch.testing.assert_close(ours, expected)


def test_top_k_keeps_k_and_top_p_the_fewest_that_reach_p():
    logits = torch.tensor([0.5, 0.2, 0.15, 0.1, 0.05]).log()
    assert (keep_top_k(logits, 2) > -torch.inf).tolist() == [True, True, False, False, False]
    assert (keep_top_p(logits, 0.6) > -torch.inf).tolist() == [True, True, False, False, False]
    assert (keep_top_p(logits, 0.75) > -torch.inf).tolist() == [True, True, True, False, False]
    assert probabilities(logits, 1, 2, 1)[:2].tolist() == pytest.approx([5 / 7, 2 / 7])
    assert probabilities(logits, 0).tolist() == [1, 0, 0, 0, 0]


def test_draws_follow_the_distribution_and_never_hit_what_is_ruled_out():
    spread = torch.tensor([0.0, 0.1, 0.0, 0.6, 0.3, 0.0])
    uniforms = torch.rand(20_000, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    counts = draw(spread.expand(20_000, -1), uniforms).bincount(minlength=6) / 20_000
    assert counts.tolist() == pytest.approx([0, 0.1, 0, 0.6, 0.3, 0], abs=0.015)
    edges = torch.tensor([0.0, 1 - 1e-16], dtype=torch.float64)
    assert draw(spread.expand(2, -1), edges).tolist() == [1, 4]


@pytest.mark.parametrize("bad", [{"temperature": -1}, {"temperature": float("nan")}, {"top_k": -1}, {"top_p": 0}])
@pytest.mark.parametrize("call", ["chat", "distribution"])
def test_settings_without_meaning_are_refused(tiny, bad, call):
    with pytest.raises(LabkitError, match=next(iter(bad))):
        tiny.chat(CONVERSATIONS, **bad) if call == "chat" else next_token_distribution(tiny, "SELECT", **bad)


# --- the loop


@pytest.mark.parametrize("batch_size", [1, 2, 32])
def test_greedy_text_is_that_of_generate(tiny, batch_size):
    tiny.prefix = None
    expected = [generate(tiny, messages, 24) for messages in CONVERSATIONS]
    assert tiny.chat(CONVERSATIONS, max_new_tokens=24, batch_size=batch_size) == expected
    assert len(set(expected)) == len(QUESTIONS) - 1  # one question is there twice: the order is told by the others


def test_long_prompts_with_nothing_in_common(tiny):
    words = SCHEMA.split()
    conversations = [talk(q, " ".join(words[i:] + words[:i])) for i, q in enumerate(QUESTIONS[:3])]
    conversations[1][0] = {"role": "user", "content": "z" * 3}
    lengths = [len(tiny.tokenizer(render(tiny.tokenizer, messages)).input_ids) for messages in conversations]
    assert max(lengths) > 2 * CHUNK
    assert tiny.chat(conversations, max_new_tokens=12) == [generate(tiny, messages, 12) for messages in conversations]


@pytest.mark.real
def test_greedy_text_is_that_of_generate_on_the_real_model():
    model = load_model(device="cpu", dtype="float32")
    conversations = [talk(question, SCHEMA[:400]) for question in [*QUESTIONS[:3], "What is the capital of France?"]]
    assert model.chat(conversations, max_new_tokens=16) == [generate(model, messages, 16) for messages in conversations]


def test_answers_end_at_the_end_token(tiny, monkeypatch):
    whole = tiny.chat(CONVERSATIONS[:3], max_new_tokens=10)
    inputs = tiny.tokenizer(render(tiny.tokenizer, CONVERSATIONS[0]), return_tensors="pt").input_ids
    third = tiny.network.generate(inputs, max_new_tokens=3, do_sample=False)[0, -1].item()
    monkeypatch.setattr(tiny.network.generation_config, "eos_token_id", [5, third])
    cut = tiny.chat(CONVERSATIONS[:3], max_new_tokens=10)
    assert cut == [
        generate(tiny, messages, 10).removesuffix(tiny.tokenizer.decode([third])) for messages in CONVERSATIONS[:3]
    ]
    assert len(cut[0]) < len(whole[0])


def test_stop_sees_the_text_so_far_and_ends_only_its_row(tiny):
    whole = tiny.chat(CONVERSATIONS, max_new_tokens=20)
    wanted = whole[1][:9]
    stopped = tiny.chat(CONVERSATIONS, max_new_tokens=20, stop=lambda text: text.startswith(wanted))
    assert stopped[1].startswith(wanted) and len(stopped[1]) < len(whole[1])
    assert stopped[:1] + stopped[2:] == whole[:1] + whole[2:]


def test_stop_sees_what_decode_says_also_amid_a_character(tiny, monkeypatch):
    accents = tiny.tokenizer("é ☃ 😀 x é", add_special_tokens=False).input_ids
    row = decoding._Row(0, (), None, [])
    for i, token in enumerate(accents):
        row.answer.append(token)
        assert decoding._grown_text(tiny.tokenizer, row) == decoding._text(tiny.tokenizer, accents[: i + 1])
    assert row.text == "é ☃ 😀 x é" and len(accents) > 12
    seen = ([], [])
    tiny.chat(CONVERSATIONS, max_new_tokens=40, stop=lambda text: seen[0].append(text))
    monkeypatch.setattr(decoding, "_token_text", lambda *token: None)  # so the whole answer is decoded each time
    tiny.chat(CONVERSATIONS, max_new_tokens=40, stop=lambda text: seen[1].append(text))
    assert seen[0] == seen[1] and len(seen[0]) > 100


def test_batches_are_even_longest_first_and_bound_by_memory(tiny, monkeypatch):
    rows = [decoding._Row(i, tuple(range(i)), None, []) for i in range(1, 11)]

    def sizes(most):
        return [[len(row.prompt) for row in b] for b in decoding._batches(rows, most, tiny.network, 1, 5)]

    assert sizes(20) == [list(range(10, 0, -1))]
    assert sizes(8) == [[10, 9, 8, 7, 6], [5, 4, 3, 2, 1]]
    monkeypatch.setattr(decoding, "CACHE_BYTES", 3 * 14 * decoding.bytes_per_token(tiny.network))
    assert sizes(20)[0] == [10, 9, 8] and sum(map(len, sizes(20))) == 10
    monkeypatch.setattr(decoding, "CACHE_BYTES", 1)
    assert sizes(20) == [[i] for i in range(10, 0, -1)]


def test_a_token_takes_in_the_cache_what_is_foreseen(tiny):
    cache = KeyValues(torch.zeros(1, dtype=torch.long), 7)
    with torch.inference_mode(), shared_prefix_attention(tiny.network):
        cache.forward(tiny.network, torch.ones(1, 3, dtype=torch.long))
    held = sum(layer.nbytes for layer in cache.keys + cache.values)
    assert held == 7 * decoding.bytes_per_token(tiny.network)


def test_padding_costs_no_pass_of_its_own(tiny):
    """A batch of one long and many short prompts: what is run are their tokens, but for a few."""
    ran = []
    hook = tiny.network.model.embed_tokens.register_forward_hook(lambda m, args, out: ran.append(args[0].numel()))
    padding = torch.tensor([0, *[180] * 30])
    tokens = torch.full((31, 200), 7)
    cache = KeyValues(padding, 200)
    try:
        with torch.inference_mode(), shared_prefix_attention(tiny.network):
            cache.prefill(tiny.network, tokens)
    finally:
        hook.remove()
    assert 200 + 30 * 20 <= sum(ran) < 1.3 * (200 + 30 * 20) < tokens.numel() / 4


def test_prefix_is_computed_once_and_gives_the_same_bits(tiny, tiny_model_dir):
    widths = []
    hook = tiny.network.model.embed_tokens.register_forward_hook(lambda m, args, out: widths.append(args[0].shape))
    try:
        tiny.prefix = None
        tiny.chat(CONVERSATIONS[:2], max_new_tokens=1)
        first, widths[:] = [tuple(w) for w in widths], []
        tiny.chat(CONVERSATIONS[2:4], max_new_tokens=1)
    finally:
        hook.remove()
    shared = sum(width for rows, width in first if rows == 1)
    assert shared > CHUNK  # one row, the schema; the rest is for two rows and short
    assert sum(width for rows, width in map(tuple, widths) if rows == 1) < CHUNK  # what follows the last whole chunk
    fresh = load_model(tiny_model_dir, device="cpu", dtype="float32")
    tokens = tuple(tiny.tokenizer(render(tiny.tokenizer, CONVERSATIONS[5])).input_ids)
    with torch.inference_mode(), shared_prefix_attention(tiny.network), shared_prefix_attention(fresh.network):
        warm = compute_prefix(tiny.network, tokens, tiny.prefix)
        cold = compute_prefix(fresh.network, tokens)
    assert shared_length([tokens, tiny.prefix.tokens]) > CHUNK
    assert all(map(torch.equal, warm.keys + warm.values, cold.keys + cold.values))


def test_a_schema_that_changed_is_not_taken_from_the_cache(tiny):
    tiny.chat(CONVERSATIONS, max_new_tokens=2)
    other = [talk(question, SCHEMA.replace("coach", "owner")) for question in QUESTIONS[:3]]
    assert tiny.chat(other, max_new_tokens=12) == [generate(tiny, messages, 12) for messages in other]


def test_shared_length():
    assert shared_length([(1, 2, 3), (1, 2, 4), (1, 2)]) == 2
    assert shared_length([(1, 2, 3)]) == 3
    assert shared_length([(1,), (2,)]) == 0
    assert shared_length([(3, 9), (3, 1, 9), (3, 5)]) == 1


def test_draws_depend_on_seed_and_conversation_only(tiny):
    def sample(conversations, seed=1, **options):
        return tiny.chat(conversations, temperature=1.0, seed=seed, max_new_tokens=8, **options)

    torch.manual_seed(5)
    state = torch.get_rng_state()
    together = sample(CONVERSATIONS)
    assert torch.equal(torch.get_rng_state(), state)  # the caller's random numbers are left alone
    assert sample(CONVERSATIONS[-2::-1], batch_size=2)[::-1] == together[:-1]
    assert [sample([messages])[0] for messages in CONVERSATIONS[:-1]] == together[:-1]
    assert together[0] != together[-1]  # the same conversation twice draws twice
    assert sample(CONVERSATIONS) == together and sample(CONVERSATIONS, seed=2) != together


def test_sampling_with_one_token_left_is_greedy(tiny):
    greedy = tiny.chat(CONVERSATIONS, max_new_tokens=8)
    assert tiny.chat(CONVERSATIONS, max_new_tokens=8, temperature=2.0, top_k=1) == greedy
    assert tiny.chat(CONVERSATIONS, max_new_tokens=8, temperature=2.0, top_p=1e-9) == greedy


def test_nothing_to_answer_is_answered_by_nothing(tiny):
    assert tiny.chat([]) == []


def test_a_prompt_beyond_the_context_is_named(tiny):
    with pytest.raises(LabkitError, match=r"Prompt 2 has 6,\d\d\d tokens.*context of 2,048"):
        tiny.chat([CONVERSATIONS[0], talk("x " * 3000, "")])


@pytest.mark.parametrize("messages", [[], ["hello"], [{"role": "user"}], [{"content": "x"}], "hello"])
def test_what_is_no_conversation_is_refused(tiny, messages):
    with pytest.raises(LabkitError, match="conversation"):
        tiny.chat([messages])


@pytest.mark.parametrize("option", ["max_new_tokens", "batch_size"])
def test_zero_tokens_or_rows_are_refused(tiny, option):
    with pytest.raises(LabkitError, match=option):
        tiny.chat(CONVERSATIONS, **{option: 0})


def test_half_a_surrogate_pair_is_survived(tiny):
    assert tiny.chat([talk("broken \ud83d emoji")], max_new_tokens=2) == tiny.chat(
        [talk("broken ? emoji")], max_new_tokens=2
    )


def test_without_chat_template_the_contents_are_the_prompt(tiny, monkeypatch):
    monkeypatch.setattr(tiny.tokenizer, "chat_template", None)
    assert render(tiny.tokenizer, [{"role": "user", "content": "SELECT"}]) == "SELECT\n"
    assert tiny.chat([[{"role": "user", "content": "SELECT"}]], max_new_tokens=3)[0]


def test_a_template_that_refuses_is_told(tiny, monkeypatch):
    monkeypatch.setattr(tiny.tokenizer, "chat_template", "{{ raise_exception('System role not supported') }}")
    with pytest.raises(LabkitError, match="System role not supported"):
        tiny.chat(CONVERSATIONS)


def test_interrupted_it_leaves_the_network_as_it_was(tiny):
    def interrupt(text):
        raise KeyboardInterrupt

    before = tiny.network.config._attn_implementation
    with pytest.raises(KeyboardInterrupt):
        tiny.chat(CONVERSATIONS, stop=interrupt)
    assert tiny.network.config._attn_implementation == before
    assert tiny.chat(CONVERSATIONS[:1], max_new_tokens=8) == [generate(tiny, CONVERSATIONS[0], 8)]


@pytest.mark.parametrize(("ci", "progress", "shown"), [("", True, True), ("1", True, False), ("", False, False)])
def test_progress_is_shown_when_asked_for_and_not_under_ci(tiny, monkeypatch, capsys, ci, progress, shown):
    monkeypatch.setenv("CI", ci)
    tiny.chat(CONVERSATIONS[:2], max_new_tokens=2, progress=progress)
    captured = capsys.readouterr()
    assert ("Answering" in captured.err) == shown and captured.out == ""


# --- other architectures


def other_model(tiny, kind, **config):
    """A random network of another family, with the stand-in's tokenizer."""
    from transformers import AutoConfig, AutoModelForCausalLM

    sizes = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4}
    sizes |= {"num_key_value_heads": 2, "vocab_size": len(tiny.tokenizer), "pad_token_id": 0, "initializer_range": 0.2}
    torch.manual_seed(1)
    network = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **sizes | config)).eval()
    return type(tiny)(kind, Path(), tiny.tokenizer, network, "cpu", "float32", "")


@pytest.mark.parametrize("kind", ["qwen2", "qwen3", "mistral", "phi3", "smollm3", "olmo2"])
def test_other_families_give_the_text_of_generate(tiny, kind):
    model = other_model(tiny, kind, **{"sliding_window": None} if kind in ("mistral", "phi3") else {})
    conversations = CONVERSATIONS[:3]
    assert model.chat(conversations, max_new_tokens=10) == [generate(model, messages, 10) for messages in conversations]


def test_attention_that_decoding_does_not_know_is_refused(tiny):
    with pytest.raises(LabkitError, match="sliding window"):
        other_model(tiny, "mistral", sliding_window=16).chat(CONVERSATIONS[:2], max_new_tokens=2)


# --- one token


def test_next_token_distribution_is_the_networks(tiny):
    inputs = tiny.tokenizer("SELECT name FROM", return_tensors="pt").input_ids
    with torch.inference_mode():
        expected = tiny.network(inputs).logits[0, -1].softmax(-1).topk(5)
    spread = next_token_distribution(tiny, "SELECT name FROM", k=5)
    assert spread.token_ids == tuple(expected.indices.tolist())
    assert spread.probabilities == pytest.approx(expected.values.tolist())
    assert spread.tokens == tuple(decoding._token_name(tiny.tokenizer, i) for i in spread.token_ids)


def test_next_token_of_a_chat_is_the_first_that_chat_writes(tiny):
    spread = next_token_distribution(tiny, CONVERSATIONS[1], k=3)
    assert tiny.chat([CONVERSATIONS[1]], max_new_tokens=1)[0] == tiny.tokenizer.decode([spread.token_ids[0]])
    assert spread != next_token_distribution(tiny, QUESTIONS[1], k=3)


def test_filters_leave_fewer_tokens_than_asked_for(tiny):
    assert len(next_token_distribution(tiny, "SELECT", k=10, top_k=4).tokens) == 4
    certain = next_token_distribution(tiny, "SELECT", k=10, temperature=0)
    assert certain.probabilities == (1.0,)
    whole = next_token_distribution(tiny, "SELECT", k=10**6)
    assert sum(whole.probabilities) == pytest.approx(1) and len(whole.tokens) <= len(tiny.tokenizer)


def test_an_empty_prompt_begins_with_the_first_token(tiny):
    assert next_token_logits(tiny, "").shape == (len(tiny.tokenizer),)


def test_part_of_a_character_keeps_the_vocabularys_spelling(tiny):
    half = tiny.tokenizer("é", add_special_tokens=False).input_ids[0]
    assert decoding._token_name(tiny.tokenizer, half) == tiny.tokenizer.convert_ids_to_tokens(half)
