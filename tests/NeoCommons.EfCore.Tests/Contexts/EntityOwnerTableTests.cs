using System.Runtime.CompilerServices;

namespace NeoCommons.EfCore.Tests.Contexts;

/// <summary>Whose an entity is, is known for as long as it lives, however many others come and go.</summary>
public sealed class EntityOwnerTableTests
{
    private static readonly Tenant[] Tenants = [.. Enumerable.Range(0, 3).Select(TenantOf)];

    [Fact]
    public void The_living_keep_their_tenants_while_others_come_and_go()
    {
        var table = new EntityOwnerTable();
        var living = Fill(table, 5_000);
        for (var round = 0; round < 20; round++)
        {
            AddGarbage(table, 20_000);
            GC.Collect();
        }

        Assert.All(living, (entity, i) => Assert.Same(Tenants[i % Tenants.Length], table.Find(entity)));
        Assert.Null(table.Find(new object()));
    }

    [Fact]
    public void What_is_looked_for_in_between_is_found_too()
    {
        var table = new EntityOwnerTable();
        var living = new List<object>();
        for (var i = 0; i < 5_000; i++)
        {
            var entity = new object();
            living.Add(entity);
            table.Add(entity, Tenants[i % Tenants.Length]);
            AddGarbage(table, 3);
            var known = i / 2;
            Assert.Same(Tenants[known % Tenants.Length], table.Find(living[known]));
            if (i % 500 == 0)
            {
                GC.Collect();
            }
        }
    }

    [Fact]
    public async Task Many_threads_note_and_look_at_a_time()
    {
        var table = new EntityOwnerTable();
        var working = Enumerable
            .Range(0, 8)
            .Select(worker =>
                Task.Run(
                    () =>
                    {
                        for (var round = 0; round < 20; round++)
                        {
                            var own = Fill(table, 500);
                            AddGarbage(table, 2_000);
                            Assert.All(
                                own,
                                (entity, i) => Assert.Same(Tenants[i % Tenants.Length], table.Find(entity))
                            );
                            if (worker == 0)
                            {
                                GC.Collect();
                            }
                        }
                    },
                    TestContext.Current.CancellationToken
                )
            );

        await Task.WhenAll(working);
    }

    [Fact]
    public void It_keeps_nobody_alive()
    {
        var table = new EntityOwnerTable();
        var noted = AddOne(table);

        GC.Collect();

        Assert.False(noted.IsAlive);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static WeakReference AddOne(EntityOwnerTable table)
    {
        var entity = new object();
        table.Add(entity, Tenants[0]);
        Assert.Same(Tenants[0], table.Find(entity));
        return new WeakReference(entity);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void AddGarbage(EntityOwnerTable table, int count)
    {
        for (var i = 0; i < count; i++)
        {
            table.Add(new object(), Tenants[0]);
        }
    }

    private static List<object> Fill(EntityOwnerTable table, int count)
    {
        var entities = Enumerable.Range(0, count).Select(_ => new object()).ToList();
        for (var i = 0; i < count; i++)
        {
            table.Add(entities[i], Tenants[i % Tenants.Length]);
        }

        return entities;
    }

    private static Tenant TenantOf(int n) =>
        new()
        {
            Id = new TenantId(Guid.NewGuid()),
            Slug = $"tenant-{n}",
            Name = $"Tenant {n}",
            Schema = SchemaName.Parse($"tenant_{n}"),
            ConnectionName = "db1",
        };
}
