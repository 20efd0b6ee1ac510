using System.Text;

namespace NeoCommons.EfCore.Tests.Tenants;

public class SchemaNamingTests
{
    private readonly SchemaNaming _naming = new();

    [Fact]
    public void Each_kind_has_its_schema()
    {
        Assert.Equal("admin", _naming.Resolve(SchemaKind.Admin).Value);
        Assert.Equal("shared", _naming.Resolve(SchemaKind.Shared).Value);
        Assert.Equal("tenant_template", _naming.Resolve(SchemaKind.Template).Value);
        Assert.Equal("tenant_acme", _naming.Resolve(SchemaKind.Tenant, "acme").Value);
        Assert.Equal("tenant_acme-corp", _naming.ForTenant("acme-corp").Value);
    }

    [Fact]
    public void A_slug_goes_with_a_tenant_and_only_with_it()
    {
        Assert.Throws<ArgumentException>(() => _naming.Resolve(SchemaKind.Tenant));
        Assert.Throws<ArgumentException>(() => _naming.Resolve(SchemaKind.Admin, "acme"));
        Assert.Throws<ArgumentException>(() => _naming.Resolve(SchemaKind.Shared, "acme"));
        Assert.Throws<ArgumentException>(() => _naming.Resolve(SchemaKind.Template, "acme"));
        Assert.Throws<ArgumentOutOfRangeException>(() => _naming.Resolve((SchemaKind)99));
    }

    [Theory]
    [InlineData("tenant_{slug}", "template")]
    [InlineData("{slug}", "admin")]
    [InlineData("{slug}", "shared")]
    [InlineData("{slug}", "public")]
    [InlineData("{slug}", "tenant_template")]
    [InlineData("{slug}", "information_schema")]
    [InlineData("{slug}", "pg_catalog")]
    [InlineData("{slug}", "neocommons_no_tenant")]
    [InlineData("pg{slug}", "x_")]
    [InlineData("p{slug}", "ublic")]
    [InlineData("{slug}d", "share")]
    public void A_slug_whose_schema_is_not_a_tenants_is_refused(string pattern, string slug)
    {
        var naming = new SchemaNaming { Tenant = pattern };

        Assert.Throws<InvalidSchemaNameException>(() => naming.ForTenant(slug));
    }

    [Fact]
    public void A_slug_that_makes_a_configured_shared_schema_is_refused()
    {
        var naming = new SchemaNaming { Shared = "tenant_all", Template = "tenant_new" };

        Assert.Throws<InvalidSchemaNameException>(() => naming.ForTenant("all"));
        Assert.Throws<InvalidSchemaNameException>(() => naming.ForTenant("new"));
        Assert.Equal("tenant_template", naming.ForTenant("template").Value);
        Assert.True(naming.IsReserved(SchemaName.Parse("tenant_all")));
        Assert.True(naming.IsReserved(SchemaName.Parse("admin")));
        Assert.False(naming.IsReserved(SchemaName.Parse("tenant_acme")));
    }

    [Theory]
    [InlineData("tenant_{slug}")]
    [InlineData("{slug}")]
    [InlineData("{slug}-live")]
    [InlineData("\"{slug}\"é")]
    public void Different_slugs_make_different_schemas(string pattern)
    {
        var naming = new SchemaNaming { Tenant = pattern };
        Assert.Empty(naming.FindFaults());
        var random = new Random(20260101);
        var slugs = new Dictionary<SchemaName, string>();
        for (var i = 0; i < 200_000; i++)
        {
            // Few letters, so that near misses are many.
            var slug = RandomSlug.Next(random, i % 2 == 0 ? "ab-_" : "abcdefghijklmnopqrstuvwxyz0123456789-_");
            if (!TenantSlug.IsValid(slug))
            {
                Assert.Throws<InvalidSchemaNameException>(() => naming.ForTenant(slug));
                continue;
            }

            var schema = naming.ForTenant(slug);
            Assert.True(Encoding.UTF8.GetByteCount(schema.Value) <= SchemaName.MaxBytes);
            if (!slugs.TryAdd(schema, slug))
            {
                Assert.Equal(slugs[schema], slug);
            }
        }

        Assert.True(slugs.Count > 100_000);
    }

    [Fact]
    public void The_defaults_have_no_fault() => Assert.Empty(_naming.FindFaults());

    [Theory]
    [InlineData("pg_shared", "tenant_template", "tenant_{slug}", "Naming:Shared is 'pg_shared'")]
    [InlineData("", "tenant_template", "tenant_{slug}", "Naming:Shared is ''")]
    [InlineData(null, "tenant_template", "tenant_{slug}", "Naming:Shared is ''")]
    [InlineData("admin", "tenant_template", "tenant_{slug}", "Naming:Shared is 'admin'")]
    [InlineData("shared", "public", "tenant_{slug}", "Naming:Template is 'public'")]
    [InlineData("shared", null, "tenant_{slug}", "Naming:Template is ''")]
    [InlineData("same", "same", "tenant_{slug}", "Shared and Template are both 'same'")]
    [InlineData("shared", "tenant_template", "", "Naming:Tenant is ''")]
    [InlineData("shared", "tenant_template", null, "Naming:Tenant is ''")]
    [InlineData("shared", "tenant_template", "tenant", "must hold '{slug}' once")]
    [InlineData("shared", "tenant_template", "tenant_{SLUG}", "must hold '{slug}' once")]
    [InlineData("shared", "tenant_template", "{slug}_{slug}", "must hold '{slug}' once")]
    [InlineData("shared", "tenant_template", "pg_{slug}", "must hold '{slug}' once and make a valid schema name")]
    [InlineData("shared", "tenant_template", "a\n{slug}", "make a valid schema name")]
    [InlineData("shared", "tenant_template", "a_prefix_of_24_bytes_xxx_{slug}", "no room for a slug of 40 characters")]
    public void A_wrong_option_is_named(string? shared, string? template, string? tenant, string expected)
    {
        var naming = new SchemaNaming
        {
            Shared = shared!,
            Template = template!,
            Tenant = tenant!,
        };

        Assert.Contains(expected, Assert.Single(naming.FindFaults()));
    }

    [Fact]
    public void All_wrong_options_are_told_at_once()
    {
        var naming = new SchemaNaming
        {
            Shared = "public",
            Template = "public",
            Tenant = "public",
        };

        Assert.Equal(4, naming.FindFaults().Count());
    }
}
