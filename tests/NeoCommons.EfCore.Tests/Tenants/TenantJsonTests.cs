using System.Text.Json;

namespace NeoCommons.EfCore.Tests.Tenants;

public sealed class TenantJsonTests
{
    [Fact]
    public void A_tenant_in_json_has_its_id_and_schema_as_text()
    {
        var tenant = new Tenant
        {
            Id = TenantId.New(),
            Slug = "acme",
            Name = "Acme",
            Schema = SchemaName.Parse("tenant_acme"),
            ConnectionName = "db",
        };

        var json = JsonSerializer.Serialize(tenant);

        Assert.Contains($"\"Id\":\"{tenant.Id}\"", json);
        Assert.Contains("\"Schema\":\"tenant_acme\"", json);
        Assert.Equal(tenant, JsonSerializer.Deserialize<Tenant>(json));
    }

    [Theory]
    [InlineData("\"x\"")]
    [InlineData("null")]
    [InlineData("1")]
    public void Anything_else_is_a_json_error(string json)
    {
        Assert.ThrowsAny<Exception>(() => JsonSerializer.Deserialize<TenantId>(json));
        if (json != "null")
        {
            Assert.ThrowsAny<Exception>(() =>
                JsonSerializer.Deserialize<SchemaName>(json == "\"x\"" ? "\"public\"" : json)
            );
        }
    }
}
