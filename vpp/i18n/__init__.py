"""Words of the screens, reports and commands, by key, in Japanese and English."""

from vpp.i18n.messages import LANGUAGES, Lang, Messages
from vpp.i18n.reasons import AssetKind, reason_sentence

__all__ = ["LANGUAGES", "AssetKind", "Lang", "Messages", "reason_sentence"]
