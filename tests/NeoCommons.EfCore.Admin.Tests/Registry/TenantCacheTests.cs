namespace NeoCommons.EfCore.Admin.Tests.Registry;

/// <summary>What is kept of tenants in memory, and who is answered from it.</summary>
public sealed class TenantCacheTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task What_is_no_slug_finds_nothing_that_is_in_memory_under_another_key()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres);
        var acme = (await app.AdoptAsync("acme"))[0];
        var store = app.Get<ITenantStore>();

        // The cache notes under keys of its own that it was emptied.
        await app.ReloadAsync();
        Assert.NotNull(await store.FindAsync(acme.Id, Ct));

        string[] keys = [$"{acme.Id.Value:B}", $"{acme.Id}", "__fc:t:*", "__fc:t:!", "ACME", "acme ", ""];
        foreach (var key in keys)
        {
            Assert.Null(await store.FindBySlugAsync(key, Ct));
        }
    }
}
