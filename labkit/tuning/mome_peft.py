"""A bank of memory experts as a method of PEFT's: after `import labkit.tuning`, `PeftModel.from_pretrained(network,
folder)` takes a folder that `mome_files` wrote.

What the bank stands on (`under/` in its folder) is attached with it, and switched off with it.
It reads, answers and can be switched off (`disable_adapter`); it does not train, save or merge. A forward pass without
a cache of earlier tokens, or with an empty one, is taken for a batch of whole prompts, the next ones for their answers:
what `generate` does when it decodes row by row, greedily or by sampling. Beams, which change places, are not followed.
"""

from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

from transformers import AutoTokenizer

from labkit.errors import LabkitError
from labkit.tuning.adapter import UNDER, load_adapter, under
from labkit.tuning.lora import detach, put
from labkit.tuning.mome_files import KIND, bank_of
from labkit.tuning.packed import body
from labkit.upstream import no_hub_kernels

with no_hub_kernels():  # PEFT imports bitsandbytes
    from peft import PeftConfig
    from peft.tuners.tuners_utils import BaseTuner, BaseTunerLayer
    from peft.utils import PeftType, register_peft_method

_INPUTS = ("input_ids", "attention_mask")  # the first two arguments of a causal language model


def _extend(kinds, name: str):
    """A new member of an enumeration of strings that is closed; there already, it stays as it is."""
    if name not in kinds.__members__:
        member = str.__new__(kinds, name)
        member._name_ = member._value_ = name
        type.__setattr__(kinds, name, member)
        kinds._member_map_[name] = kinds._value2member_map_[name] = member
        kinds._member_names_.append(name)
    return kinds(name)


@dataclass
class MomeConfig(PeftConfig):
    """What `adapter_config.json` of a bank holds; see `mome_files`."""

    layer: int = 0
    threshold: float = 0.9
    used: int = 0
    total: int = 0
    facts: dict = field(default_factory=dict)
    under: str | None = None
    selection: str = "words"
    k: int = 1
    around: tuple = ("", "")
    encoder: str | None = None

    def __post_init__(self):
        super().__post_init__()
        self.peft_type = PeftType(KIND)
        self.folder = None

    @classmethod
    def from_pretrained(cls, folder, *args, **kwargs):
        config = super().from_pretrained(folder, *args, **kwargs)
        config.folder = folder
        return config

    def below(self) -> Path | None:
        """The folder of the adapter that the experts stand on; LabkitError where it is named and not there."""
        below = under(self.folder) if self.folder and Path(self.folder).is_dir() else None
        if self.under and not below:
            raise LabkitError(
                f"The bank stands on an adapter, the folder {UNDER}/ beside it, which PEFT was not given. Fetch the "
                "bank's whole folder, and call PeftModel.from_pretrained(network, FOLDER) with it."
            )
        return below

    @property
    def is_adaption_prompt(self) -> bool:
        """What PEFT asks before it switches an adapter off by its model's own methods, not layer by layer."""
        return True


class MomeModel(BaseTuner):
    """A network with one bank behind it."""

    prefix = KIND.lower() + "_"
    tuner_layer_cls = BaseTunerLayer
    target_module_mapping = {}

    def inject_adapter(self, model, adapter_name, *args, **kwargs):
        if len(self.peft_config) > 1:
            raise ValueError("A network takes one bank of memory experts. Join the banks with labkit first.")
        self.bank, self.off, below = None, False, self.peft_config[adapter_name].below()
        self.lora = load_adapter(model, below) if below else {}
        model.register_forward_pre_hook(self._route, with_kwargs=True)
        for parameter in model.parameters():
            parameter.requires_grad = False

    def _create_and_replace(self, *args, **kwargs):
        raise NotImplementedError("A bank replaces no layer.")

    @staticmethod
    def _remap_adapter_state_dict_for_load(model, config, adapter_name, state_dict):
        """Take the tensors as a bank, of whatever size; nothing of them is left to be copied into parameters."""
        tuner, network = model.base_model, model.get_base_model()
        name = getattr(network, "name_or_path", "") or config.base_model_name_or_path
        owner = SimpleNamespace(network=network, tokenizer=AutoTokenizer.from_pretrained(name))
        tuner.bank = bank_of(owner, vars(config), state_dict)
        body(network).layers[tuner.bank.layer].register_forward_hook(tuner.bank._hook, with_kwargs=True)
        return {}

    def _temporarily_active(self, adapter_name):
        return nullcontext()

    def disable_adapter_layers(self):
        self.off = True
        detach(self.model, self.lora)

    def enable_adapter_layers(self):
        self.off = False
        put(self.model, self.lora)

    def _route(self, module, arguments, options):
        given = dict(zip(_INPUTS, arguments, strict=False)) | options
        tokens, mask, cache = (given.get(name) for name in (*_INPUTS, "past_key_values"))
        if self.bank is None or (cache is not None and cache.get_seq_length()):
            return
        if tokens is None or self.off:
            self.bank.routes = []
            return
        shown = mask.bool() if mask is not None and mask.shape == tokens.shape else [slice(None)] * len(tokens)
        self.bank.route([row[seen].tolist() for row, seen in zip(tokens, shown, strict=True)])


_extend(PeftType, KIND)
register_peft_method(name=KIND.lower(), config_cls=MomeConfig, model_cls=MomeModel)
