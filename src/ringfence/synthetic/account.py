"""Sections of an export that say who a user is, what the user has chosen, publishes and writes."""

from __future__ import annotations

from typing import Final

from ringfence.synthetic.author import Author, Section

VISIBILITIES: Final = ("Everyone", "Everyone", "Friends", "Only me")


def make_ads(author: Author) -> Section:
    """Make what advertisers know of the user."""
    return {
        "Ad Interests": {"AdInterestCategories": ", ".join(author.term() for _ in range(4))},
        "Instant Form Ads Responses": {
            "ResponsesList": author.many(
                1,
                lambda: {
                    "Date": author.date(),
                    "Advertiser": author.company(),
                    "Form": author.term(),
                    "Response": author.sentence(),
                },
            )
        },
        "Off TikTok Activity": {
            "OffTikTokActivityDataList": author.many(
                3, lambda: {"TimeStamp": author.date(), "Source": author.company(), "Event": author.term()}
            )
        },
    }


def make_settings(author: Author, *, older: bool) -> Section:
    """Make what the user has blocked and chosen."""
    choice = author.chance.choice
    who = ("Everyone", "Friends", "No one")
    switch = ("On", "Off")
    blocked = author.many(2, lambda: {"Date": author.date(), "UserName": author.handle()})
    return {
        "Block" if older else "Block List": {"BlockList": blocked},
        "Settings": {
            "SettingsMap": {
                "Private Account": choice(("Enabled", "Disabled")),
                "Who Can Post Comments": choice(who),
                "Who Can Duet With Me": choice(who),
                "Who Can Stitch with your videos": choice(who),
                "Who Can Send Me Message": choice(who),
                "Who Can View Videos I Liked": choice(("Everyone", "Only me")),
                "Suggest your account to others": choice(switch),
                "Allow DownLoad": choice(switch),
                "Allow Others to Find Me": choice(switch),
                "App Language": choice(("en", "es", "fr", "de", "sv", "ja", "pt")),
                "Web Language": "en",
                "Content Preferences": {"Keyword filters for videos in Following feed": [], "Video Languages": ["en"]},
                "Filter All Comments": choice(switch),
                "Filter Comments": choice(switch),
                "Interests": "|".join(author.term() for _ in range(3)),
                "Personalized Ads": choice(switch),
                "Push Notification": {"Desktop notification": choice(switch), "New Fans": choice(switch)},
                "Family Content Preferences": None,
            }
        },
    }


def make_comment(author: Author) -> Section:
    """Make one comment."""
    return {"date": author.date(), "comment": author.sentence(), "photo": "N/A", "url": author.link()}


def make_conversations(author: Author) -> Section:
    """Make the user's conversations, each under a key that holds the other's name."""
    conversations: Section = {}
    for _ in range(author.chance.randrange(4)):
        other = author.handle()
        conversations[f"Chat History with {other}:"] = author.many(
            6,
            lambda other=other: {  # type: ignore[misc]  # a default binds the loop's own value
                "Date": author.date(),
                "From": author.chance.choice((author.user.user_name, other)),
                "Content": author.sentence(),
            },
        )
    return conversations


def make_transaction(author: Author) -> Section:
    """Make one movement of money; its amount is a fraction."""
    return {
        "Date": author.date(),
        "Amount": author.chance.randrange(1, 10**6) / 100,
        "Currency": "USD",
        "Type": "Reward",
        "Status": "Done",
    }


def make_location_review(author: Author) -> Section:
    """Make what the user thinks of a place."""
    return {
        "Date": author.date(),
        "Location": author.user.city,
        "Rating": author.chance.randrange(1, 6),
        "Review": author.sentence(),
        "Link": author.link("place"),
    }


def make_posts(author: Author, *, older: bool) -> Section:
    """Make what the user has published, and taken back."""
    posts = {"VideoList": author.many(6, lambda: make_post(author))}
    if older:
        return {"Videos": posts}
    deleted = {
        "PostList": author.many(1, lambda: {"Date": author.date(), "DateDeleted": author.date(), "Link": author.link()})
    }
    return {"Posts": posts, "Recently Deleted Posts": deleted}


def make_post(author: Author) -> Section:
    """Make one post; who can view it decides its class."""
    choice = author.chance.choice
    return {
        "Date": author.date(),
        "Link": author.link(),
        "Likes": str(author.chance.randrange(5000)),
        "Title": author.sentence(),
        "Sound": author.term(),
        "Location": author.user.city if author.chance.random() < 0.3 else "",
        "WhoCanView": choice(VISIBILITIES),
        "AllowComments": choice(("Yes", "No")),
        "AllowStitches": choice(("Yes", "No")),
        "AllowDuets": choice(("Yes", "No")),
        "AllowStickers": choice(("Yes", "No")),
        "AllowSharingToStory": "Yes",
        "ContentDisclosure": "No",
        "AIGeneratedContent": "No",
    }


def make_profile(author: Author, *, older: bool) -> Section:
    """Make the user's account and what forms are filled with."""
    user = author.user
    profile_map = {
        "PlatformInfo": [
            {"Name": author.handle(), "Platform": "Example Pictures", "Profile Photo": author.link("picture")}
        ]
        if author.chance.random() < 0.3
        else None,
        "bioDescription": author.sentence(),
        "birthDate": user.birth_date,
        "emailAddress": user.email,
        "likesReceived": str(author.chance.randrange(10**5)),
        "profilePhoto": author.link("picture"),
        "profileVideo": "None",
        "telephoneNumber": user.phone or None,
        "userName": user.user_name,
    }
    return {
        "AI-Moji": author.many(1, lambda: {"CreateDate": author.date(), "FilePath": author.link("picture")}),
        "Autofill": {
            "PhoneNumber": user.phone or None,
            "Email": user.email,
            "FirstName": user.first_name,
            "LastName": user.last_name,
            "Address": user.street,
            "ZipCode": user.zip_code,
            "Unit": "",
            "City": user.city,
            "State": "",
            "Country": user.declared or None,
        },
        "Profile Information" if older else "Profile Info": {"ProfileMap": profile_map},
    }
