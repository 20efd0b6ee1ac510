using Microsoft.Extensions.Time.Testing;

namespace NeoCommons.EfCore.Admin.Tests.Registry;

/// <summary>Which values of Redis are known to be out of date.</summary>
public sealed class RecentChangesTests
{
    private static readonly TenantId Acme = TenantId.New();
    private static readonly TenantId Globex = TenantId.New();

    private static readonly DateTimeOffset Started = DateTimeOffset.UnixEpoch;

    private readonly RecentChanges _recent = new(TimeSpan.FromHours(1), new FakeTimeProvider());

    [Fact]
    public void A_value_that_does_not_know_the_transaction_of_a_change_is_stale()
    {
        _recent.Add(Change(Acme, 100));
        Assert.True(_recent.MayBeStale(Acme, At(100)));
        Assert.False(_recent.MayBeStale(Acme, At(101)));
        Assert.False(_recent.MayBeStale(Globex, At(100)));
        Assert.False(_recent.MayBeStale(At(100)));
    }

    [Fact]
    public void Of_two_changes_the_later_transaction_counts_whichever_is_read_first()
    {
        _recent.Add(Change(Acme, 102));
        _recent.Add(Change(Acme, 100));
        Assert.True(_recent.MayBeStale(Acme, At(101)));
    }

    [Fact]
    public void A_change_of_all_makes_all_stale_that_do_not_know_it()
    {
        _recent.AddAll(new RegistryPosition("100:110:100", default, Started));
        Assert.True(_recent.MayBeStale(Acme, At(109)));
        Assert.True(_recent.MayBeStale(At(109)));
        Assert.False(_recent.MayBeStale(Acme, At(110)));
        Assert.False(_recent.MayBeStale(At(110)));
    }

    [Fact]
    public void A_change_of_the_connections_makes_no_tenant_stale()
    {
        _recent.Add(new RegistryChange(100, RegistryChangeKind.Connections, null, []));
        Assert.True(_recent.MayBeStale(At(100)));
        Assert.False(_recent.MayBeStale(At(101)));
        Assert.False(_recent.MayBeStale(Acme, At(100)));
    }

    [Fact]
    public void What_this_process_has_changed_is_doubted_until_the_log_has_been_read_from_then_on()
    {
        _recent.BeginToConfirm();
        _recent.AddOwn(Acme);
        _recent.Confirm();
        Assert.True(_recent.MayBeStale(Acme, At(long.MaxValue)));
        Assert.False(_recent.MayBeStale(Globex, At(long.MaxValue)));

        // A reading that failed confirms nothing.
        _recent.BeginToConfirm();
        _recent.BeginToConfirm();
        Assert.True(_recent.MayBeStale(Acme, At(long.MaxValue)));
        _recent.Confirm();
        Assert.False(_recent.MayBeStale(Acme, At(long.MaxValue)));
    }

    [Fact]
    public void What_was_read_from_another_server_is_stale_as_soon_as_one_is_followed()
    {
        var before = new RowPosition(Started.AddDays(-1), long.MaxValue);
        Assert.False(_recent.MayBeStale(Acme, before));

        _recent.Follow(Started);

        Assert.True(_recent.MayBeStale(Acme, before));
        Assert.True(_recent.MayBeStale(before));
        Assert.False(_recent.MayBeStale(Acme, At(1)));
        Assert.False(_recent.MayBeStale(At(1)));
    }

    [Fact]
    public void A_server_that_took_the_place_of_another_begins_to_count_anew()
    {
        _recent.Follow(Started.AddDays(-1));
        _recent.Add(Change(Acme, 200));
        _recent.Add(new RegistryChange(200, RegistryChangeKind.Connections, null, []));
        _recent.AddAll(new RegistryPosition("200:210:200", default, Started.AddDays(-1)));

        _recent.Follow(Started);
        _recent.Add(Change(Globex, 100));
        _recent.Follow(Started);

        Assert.False(_recent.MayBeStale(Acme, At(100)));
        Assert.False(_recent.MayBeStale(At(100)));
        Assert.True(_recent.MayBeStale(Globex, At(100)));
    }

    [Fact]
    public void Where_there_are_too_many_to_remember_everything_older_is_stale()
    {
        const int Most = 100_000;
        _recent.Add(Change(Acme, 200));
        for (var i = 0; i < Most; i++)
        {
            _recent.Add(Change(TenantId.New(), 100));
        }

        Assert.True(_recent.MayBeStale(Acme, At(200)));
        Assert.True(_recent.MayBeStale(Globex, At(200)));
        Assert.False(_recent.MayBeStale(Globex, At(201)));
    }

    private static RowPosition At(long transaction) => new(Started, transaction);

    private static RegistryChange Change(TenantId tenant, long transaction) =>
        new(transaction, RegistryChangeKind.Tenant, tenant, []);
}
