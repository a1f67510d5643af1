"""Weights in 4 bits: how bitsandbytes is told to hold a model as NF4 while it is loaded.

NF4 is of Dettmers et al. 2023, "QLoRA: Efficient finetuning of quantized LLMs", arXiv 2305.14314, section 3. What is
already coarse is made coarse once more: the weights of a GGUF file are unpacked by `conversion`, then held like any
others. Whether a model is in 4 bits stands in `Model.four_bit`, in its runs and in the cards of its adapters; how to
leave them again is `tuning.merge`'s.
"""

from importlib.util import find_spec

from labkit.errors import LabkitError

_MISSING = "4-bit weights take the package bitsandbytes: pip install 'labkit[gpu]'"


def check_four_bit() -> None:
    """LabkitError where bitsandbytes is not installed: said before a download or an hour's work, not behind it."""
    if find_spec("bitsandbytes") is None:
        raise LabkitError(_MISSING)


def four_bit_options(dtype, device: str) -> dict:
    """What `from_pretrained` is told: NF4, computed in `dtype`, on `device`. LabkitError where bitsandbytes does not
    load."""
    from labkit.upstream import no_hub_kernels

    try:
        with no_hub_kernels():
            import bitsandbytes  # noqa: F401
        from transformers import BitsAndBytesConfig
    except ImportError as error:
        raise LabkitError(_MISSING) from error
    config = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=dtype
    )
    return {"quantization_config": config, "device_map": {"": device}}


def kept_trainable(network):
    """On processors with AVX512-BF16, bitsandbytes packs a layer's weights anew at the first answer; from then on no
    gradient passes through it, without a word. The weights stay as they are."""
    for module in network.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
    return network
