"""Makes a user's export, in the shape that the app gives to its users.

Two layouts: `current`, and `older`, which names several sections otherwise. Every section of the shape is there, with
its own spelling of its fields; where a user has nothing a list is empty or `null`. Now and then there is a section
that no charter knows, for apps change before agreements do.
"""

from __future__ import annotations

from typing import Final, Literal

from ringfence.synthetic import account, activity
from ringfence.synthetic.author import Author, Section
from ringfence.synthetic.people import SyntheticUser, draw_words

Layout = Literal["current", "older"]

UNKNOWN_SECTION: Final = "Experiments"
TIMES_ACTIVE_MAX: Final = 1000


def make_export(user: SyntheticUser, *, layout: Layout = "current", times_active: int = 1) -> Section:
    """Make the user's export as a JSON object.

    Args:
        layout: which names its sections have.
        times_active: times as many records as an ordinary user has, 1 to 1000.
    """
    author = Author(user, draw_words(user.seed), activity=min(max(times_active, 1), TIMES_ACTIVE_MAX))
    older = layout == "older"
    export: Section = {
        "Ads and data": account.make_ads(author),
        "App Settings": account.make_settings(author, older=older),
        "Comment": {"Comments": {"CommentsList": author.many(8, lambda: account.make_comment(author))}},
        "Direct Messages" if older else "Direct Message": {
            "Chat History" if older else "Direct Messages": {"ChatHistory": account.make_conversations(author)}
        },
        "Income Plus Wallet Transactions": {
            "Transaction History": {"TransactionsList": author.many(1, lambda: account.make_transaction(author))}
        },
        "Location Review": {
            "Location Reviews": {"ReviewsList": author.many(1, lambda: account.make_location_review(author))}
        },
        "Video" if older else "Post": account.make_posts(author, older=older),
        "Profile": account.make_profile(author, older=older),
        "TikTok Shop": activity.make_shop(author),
        "Tiktok Live": activity.make_live(author),
        "Activity" if older else "Your Activity": activity.make_activity(author, older=older),
    }
    if author.chance.random() < 0.1:
        export[UNKNOWN_SECTION] = {
            "Groups": [{"Name": author.term(), "Variant": author.chance.randrange(4)}],
            "Score": author.chance.random(),
            "Notes": None,
        }
    return export
