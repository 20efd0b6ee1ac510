namespace NeoCommons.EfCore.Tests.Tenants;

public class TenantSlugTests
{
    public static TheoryData<string> Valid =>
        ["ab", "a1", "42", "acme", "acme-corp", "acme_corp", "a--b", "a__b", "xn--80ak6aa92e", new string('a', 40)];

    public static TheoryData<string> Invalid =>
        [
            "",
            "a",
            "-a",
            "a-",
            "_a",
            "a_",
            "Acme",
            "ac me",
            "ac.me",
            "ac/me",
            "ac\"me",
            "acme\n",
            "\nacme",
            "acme\0",
            "acmé",
            "аcme", // a Cyrillic letter in front
            "ac\u200Bme",
            "a٣b", // an Arabic digit
            "ıı", // a Turkish letter
            new string('a', 41),
            "0f8fad5b-d9cb-469f-a165-70867728950e",
            "0f8fad5bd9cb469fa16570867728950e",
        ];

    [Theory]
    [MemberData(nameof(Valid))]
    public void A_slug_is_short_lower_case_and_ascii(string slug)
    {
        Assert.True(TenantSlug.IsValid(slug));
        TenantSlug.ThrowIfInvalid(slug);
    }

    [Theory]
    [MemberData(nameof(Invalid))]
    public void Anything_else_is_refused_with_the_rule(string slug)
    {
        Assert.False(TenantSlug.IsValid(slug));
        var fault = Assert.Throws<InvalidSchemaNameException>(() => TenantSlug.ThrowIfInvalid(slug));
        Assert.Contains(TenantSlug.Rule, fault.Message);
        Assert.Equal(slug, fault.Name);
    }

    [Fact]
    public void No_text_is_no_slug()
    {
        Assert.False(TenantSlug.IsValid(null));
        Assert.Throws<ArgumentNullException>(() => TenantSlug.ThrowIfInvalid(null!));
    }

    [Fact]
    public void No_slug_is_ever_an_id()
    {
        var random = new Random(7);
        for (var i = 0; i < 100_000; i++)
        {
            var slug = RandomSlug.Next(random, "0123456789abcdefx-");
            Assert.False(TenantSlug.IsValid(slug) && TenantId.TryParse(slug, out _), slug);
        }

        Assert.False(TenantSlug.IsValid(TenantId.New().ToString()));
    }
}
